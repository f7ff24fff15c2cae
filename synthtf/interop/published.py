"""Published weights of any kind that this package reads."""

import os

import keras

from synthtf.interop.h5 import read_keras_h5
from synthtf.interop.synthseg import load_synthseg
from synthtf.interop.torch_file import is_torch_file
from synthtf.interop.voxelmorph import load_voxelmorph
from synthtf.interop.voxelmorph_torch import load_voxelmorph_torch

KINDS = ("voxelmorph", "synthseg")
"""Kinds of networks whose weights can be read."""


def load_published(path: str | os.PathLike, kind: str | None = None) -> keras.Model:
    """Build a network with published weights.

    Args:
        path: path of the weights: HDF5 as Keras writes it, or a state dict of PyTorch for
            VoxelMorph.
        kind: "voxelmorph", which includes SynthMorph, or "synthseg". Default: taken from the
            names of the tensors.

    Returns:
        The model, as from `load_voxelmorph`, `load_voxelmorph_torch` or `load_synthseg`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the kind is unknown, or the file is of another kind.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"`kind` must be one of {KINDS} or None. Received: kind={kind!r}")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} does not exist; give a file of weights")
    if kind != "synthseg" and is_torch_file(path):
        return load_voxelmorph_torch(path)
    if kind is None:
        names = list(read_keras_h5(path))
        kind = "voxelmorph"
        if any("_conv_downarm_" in name or name == "unet_likelihood" for name in names):
            kind = "synthseg"
    return load_synthseg(path) if kind == "synthseg" else load_voxelmorph(path)
