"""Published weights of any kind that this package reads."""

import os
from collections.abc import Callable
from contextlib import suppress

import keras

from synthtf.interop.converting import KINDS
from synthtf.interop.h5 import read_keras_h5
from synthtf.interop.synthmorph import (
    DETECTOR,
    load_synthmorph_deformable,
    load_synthmorph_detector,
    synthmorph_parts,
)
from synthtf.interop.synthseg import load_synthseg
from synthtf.interop.synthsr import load_synthsr
from synthtf.interop.synthstrip import load_synthstrip
from synthtf.interop.torch_file import is_torch_file, read_torch
from synthtf.interop.voxelmorph import load_voxelmorph
from synthtf.interop.voxelmorph_torch import load_voxelmorph_torch
from synthtf.interop.wmh_synthseg import load_wmh_synthseg

_LIKELIHOOD, _FIRST = "unet_likelihood", "unet_conv_downarm_0_0"


def load_published(path: str | os.PathLike, kind: str | None = None) -> keras.Model:
    """Build a network with published weights.

    Args:
        path: path of the weights: HDF5 as Keras writes it (SynthMorph, SynthSeg, SynthSR,
            VoxelMorph), or a state dict of PyTorch (SynthStrip, VoxelMorph, WMH-SynthSeg).
        kind: one of `KINDS`; "voxelmorph" includes SynthMorph's networks of 2021, "synthmorph" is
            for those of 2024. Default: taken from the tensors.

    Returns:
        The model, as from `load_synthmorph_detector`, `load_synthmorph_deformable`,
        `load_synthseg`, `load_synthsr`, `load_synthstrip`, `load_voxelmorph`,
        `load_voxelmorph_torch` or `load_wmh_synthseg`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the kind is unknown, or the file is of another kind.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"`kind` must be one of {KINDS} or None. Received: kind={kind!r}")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} does not exist; give a file of weights")
    torch = is_torch_file(path)
    kind = kind or (_kind_of_torch if torch else _kind_of_keras)(path)
    loaders: dict[str, Callable[[str | os.PathLike], keras.Model]] = {
        "voxelmorph": load_voxelmorph_torch if torch else load_voxelmorph,
        "synthmorph": _load_synthmorph,
        "synthseg": load_synthseg,
        "synthsr": _load_synthsr,
        "synthstrip": load_synthstrip,
        "wmh-synthseg": load_wmh_synthseg,
    }
    return loaders[kind](path)


def _kind_of_torch(path: str | os.PathLike) -> str:
    names = read_torch(path)
    if any(name.startswith("encoders.") for name in names):
        return "wmh-synthseg"
    return "synthstrip" if any(name.startswith("remaining.") for name in names) else "voxelmorph"


def _kind_of_keras(path: str | os.PathLike) -> str:
    with suppress(ValueError):
        synthmorph_parts(path)
        return "synthmorph"
    weights = read_keras_h5(path)
    if not any("_conv_downarm_" in name or name == _LIKELIHOOD for name in weights):
        return "voxelmorph"
    bias = weights.get(_LIKELIHOOD, {}).get("bias")
    return "synthsr" if bias is not None and bias.size == 1 else "synthseg"


def _load_synthmorph(path: str | os.PathLike) -> keras.Model:
    """Build the detector of a file, or the deformable network if that is what it holds."""
    if DETECTOR in synthmorph_parts(path):
        return load_synthmorph_detector(path)
    return load_synthmorph_deformable(path)


def _load_synthsr(path: str | os.PathLike) -> keras.Model:
    """Build SynthSR's network, for one image or for a pair."""
    kernel = read_keras_h5(path).get(_FIRST, {}).get("kernel")
    pair = kernel is not None and kernel.ndim > 2 and kernel.shape[-2] == 2
    return load_synthsr(path, channels=2 if pair else 1)
