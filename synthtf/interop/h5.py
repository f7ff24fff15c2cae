"""Reading weights from HDF5 files of others, without trusting the files.

Such a file can refer to other files, claim sizes that fill the memory, or lack
half of the tensors. `synthtf.data.hdf5` checks what it declares before any array is
allocated.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from synthtf.data import hdf5
from synthtf.messages import describe
from synthtf.runs.unused import discard_unused_networks

Weights = dict[str, dict[str, np.ndarray]]
Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]

_MAX_CONFIG = 2**22
# Groups of the weights, if not at the top: in a whole model of legacy Keras, and in weights of
# Keras 3.
_ROOTS = ("model_weights", "layers")


def read_keras_h5(path: str | os.PathLike) -> Weights:
    """Read the weights from a file of Keras, one group per layer.

    The file may hold weights or a whole model of legacy Keras, or weights of Keras 3. Optimiser
    states are not read. Each tensor has the name of its layer and its own name, without the ":0"
    of TensorFlow 1; Keras 3 numbers the tensors of a layer instead, from "0".

    Args:
        path: path of a file in HDF5 format.

    Returns:
        float32 arrays by layer name and weight name; layers without weights are left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged or not HDF5, is too large, or holds links, data that are
            not floating-point, tensors stored elsewhere, or two tensors of the same name.
    """
    discard_unused_networks()
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give an .h5 file of weights")
    with readable_h5(path) as file:
        root = file
        for name in _ROOTS:
            if hdf5.member(file, name, str(path)) is not None:
                root = weights_group(file, name, path)
                break
        return _read(root, path)


def read_keras_config(path: str | os.PathLike) -> dict[str, Any]:
    """Read the configuration of a model of legacy Keras, if its file holds one.

    Args:
        path: path of a file in HDF5 format that `read_keras_h5` can read.

    Returns:
        The configuration of the model; empty if the file holds only weights.

    Raises:
        ValueError: if the configuration is damaged or too long.
    """
    with readable_h5(path) as file:
        text: object = "{}"
        if "model_config" in file.attrs:
            # h5py allocates the claimed size before it reads.
            small = file.attrs.get_id("model_config").get_storage_size() <= _MAX_CONFIG
            text = file.attrs["model_config"] if small else None
    try:
        if not isinstance(text, str | bytes) or len(text) > _MAX_CONFIG:
            raise ValueError("it is not a text of at most 4 MB")
        values = json.loads(text)
        config = values.get("config", {}) if isinstance(values, dict) else None
        if not isinstance(config, dict):
            raise ValueError("it is not a dictionary")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: the attribute model_config is damaged: {error}") from error
    return config


def check_weights(weights: Weights, expected: Shapes, path: str | os.PathLike) -> None:
    """Refuse weights that do not fit a network exactly, or that no trained network has.

    Args:
        weights: result of `read_keras_h5`.
        expected: shapes by layer name and weight name, in the order of the network.
        path: path of the file, for the message.

    Raises:
        ValueError: if a tensor is missing, has another shape, is not part of the network, or was
            never written; the message names the first.
    """
    for layer, shapes in expected.items():
        for name, shape in shapes.items():
            if name not in weights.get(layer, {}):
                raise ValueError(f"{path} lacks the tensor {layer}/{name}, of shape {shape}")
            found = weights[layer][name].shape
            if found != shape:
                raise ValueError(
                    f"{path}: the tensor {layer}/{name} has the shape {found}, but the network "
                    f"expects {shape}"
                )
    for layer, tensors in weights.items():
        for name in tensors:
            if name not in expected.get(layer, {}):
                raise ValueError(
                    f"{path} holds the tensor {layer}/{name}, which the network does not have"
                )
    for layer, tensors in weights.items():
        for name, values in tensors.items():
            if name == "kernel" and values.size and not values.any():
                raise ValueError(
                    f"{path}: the tensor {layer}/{name} is all zero: it was never written"
                )
            if name == "moving_variance" and (values < 0).any():
                raise ValueError(f"{path}: the tensor {layer}/{name} must not be negative")


@contextmanager
def readable_h5(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Open a file; errors in it, and in the block, raise a ValueError of one line.

    Args:
        path: path of a file in HDF5 format.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    # h5py raises exceptions of many types for a damaged file.
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        reason = describe(error)
        raise ValueError(
            f"{path} is not a readable HDF5 file, or is damaged: {reason}; download it again"
        ) from error


def _read(root: h5py.Group, path: Path) -> Weights:
    found: dict[str, dict[str, h5py.Dataset]] = {}
    for names, dataset in hdf5.tensors(root, str(path)):
        if len(names) == 1:
            raise ValueError(f"{path} must hold one group per layer, but {names[0]!r} is a tensor")
        layer, name = names[0], names[-1].removesuffix(":0")
        if name in found.setdefault(layer, {}):
            raise ValueError(f"{path}: the layer {layer} holds two tensors named {name}")
        found[layer][name] = dataset
    return {
        layer: {name: hdf5.values_of(data, str(path)) for name, data in datasets.items()}
        for layer, datasets in found.items()
    }


def weights_group(parent: h5py.Group, name: str, path: Path) -> h5py.Group:
    """Return a group that is a member of another one.

    Args:
        parent: the group that it is in.
        name: its name there.
        path: path of the file, for the message.

    Raises:
        ValueError: if there is no such group.
    """
    found = hdf5.member(parent, name, str(path))
    if not isinstance(found, h5py.Group):
        raise ValueError(f"{path}: {name!r} at {parent.name} must be a group of weights")
    return found
