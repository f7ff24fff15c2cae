"""Reading weights from HDF5 files of others, without trusting the files.

Such a file can refer to other files, claim sizes that fill the memory, or lack
half of the tensors. Everything that it declares is checked before any array is
allocated.
"""

import json
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Weights = dict[str, dict[str, np.ndarray]]
Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]

_MAX_MEMBERS = 20_000
_MAX_ELEMENTS = 2**28  # 1 GiB as float32, ten times the largest network of this kind
_MAX_CONFIG = 2**22
_MAX_ORDERED = 2**32  # SynthMorph's hypernetwork has 2**30
_DEFLATE_RATIO = 1032  # largest compression ratio of deflate
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
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give an .h5 file of weights")
    with _readable(path) as file:
        root = file
        for name in _ROOTS:
            if _member(file, name, path) is not None:
                root = _group(file, name, path)
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
    with _readable(path) as file:
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
    """Refuse weights that do not fit a network exactly.

    Args:
        weights: result of `read_keras_h5`.
        expected: shapes by layer name and weight name, in the order of the network.
        path: path of the file, for the message.

    Raises:
        ValueError: if a tensor is missing, has another shape, or is not part of the network; the
            message names the first.
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


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in an open file, checked, but not read yet.

    Attributes:
        layer: name of its layer.
        name: layer and own name, for messages.
        dataset: where it is.
        path: path of the file.
    """

    layer: str
    name: str
    dataset: h5py.Dataset
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.dataset.shape

    def read(self) -> np.ndarray:
        """Read the numbers, as float32."""
        return _array(self.dataset, self.path)


@contextmanager
def ordered_tensors(path: str | os.PathLike) -> Iterator[list[StoredTensor]]:
    """Open a file of legacy Keras for its tensors in the order in which the model has them.

    Names count for nothing then, and large files can be read tensor by tensor.

    Args:
        path: path of a file in HDF5 format, of weights or of a whole model.

    Yields:
        All tensors. They can be read until the context ends.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as in `read_keras_h5`, or if the file does not say the order.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give an .h5 file of weights")
    with _readable(path) as file:
        root = file
        if _member(file, _ROOTS[0], path) is not None:
            root = _group(file, _ROOTS[0], path)
        found = []
        for layer in _names(root, "layer_names", path):
            group = _group(root, layer, path)
            for name in _names(group, "weight_names", path):
                dataset = _dataset(group, name, path)
                found.append(
                    StoredTensor(layer, f"{layer}/{name.removesuffix(':0')}", dataset, path)
                )
                if len(found) > _MAX_MEMBERS:
                    raise ValueError(f"{path} has more than {_MAX_MEMBERS} tensors")
        total = sum(math.prod(tensor.shape) for tensor in found)
        if total > _MAX_ORDERED:
            raise ValueError(f"{path} must hold at most {_MAX_ORDERED} numbers. Received: {total}")
        yield found


def _names(group: h5py.Group, attribute: str, path: Path) -> list[str]:
    """Read a list of names, which Keras cuts into several attributes if it is long."""
    parts = [attribute] if attribute in group.attrs else []
    while not parts or parts[-1] != attribute:
        if f"{attribute}{len(parts)}" not in group.attrs:
            break
        parts.append(f"{attribute}{len(parts)}")
    if not parts:
        raise ValueError(
            f"{path}: {group.name} lacks the attribute {attribute}, the order of its tensors; it "
            "must be an .h5 file of legacy Keras"
        )
    names: list[str] = []
    for part in parts:
        stored = group.attrs.get_id(part)
        if 0 in stored.shape:
            continue
        # h5py allocates the claimed size before it reads.
        small = stored.get_storage_size() <= _MAX_CONFIG
        values = np.ravel(group.attrs[part]).tolist() if small else [None]
        if not all(isinstance(value, bytes | str) for value in values):
            raise ValueError(f"{path}: the attribute {part} of {group.name} is damaged")
        names += [v.decode("utf-8") if isinstance(v, bytes) else v for v in values]
    return names


def _dataset(group: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """Find a tensor by its name, in groups of groups, and check it."""
    member: h5py.Group | h5py.Dataset | None = group
    for part in name.split("/"):
        member = _member(member, part, path) if isinstance(member, h5py.Group) else None
    if not isinstance(member, h5py.Dataset):
        raise ValueError(f"{path} lacks the tensor {group.name.strip('/')}/{name}")
    _check_dataset(member, path)
    return member


@contextmanager
def _readable(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Open a file; errors in it raise a ValueError of one line."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    # h5py raises exceptions of many types for a damaged file.
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        reason = str(error) or type(error).__name__
        raise ValueError(
            f"{path} is not a readable HDF5 file, or is damaged: {reason}; download it again"
        ) from error


def _read(root: h5py.Group, path: Path) -> Weights:
    datasets: dict[str, dict[str, h5py.Dataset]] = {}
    for layer, name, dataset in _datasets(root, path):
        tensors = datasets.setdefault(layer, {})
        if name in tensors:
            raise ValueError(f"{path}: the layer {layer} holds two tensors named {name}")
        tensors[name] = dataset
    total = sum(math.prod(d.shape) for tensors in datasets.values() for d in tensors.values())
    if total > _MAX_ELEMENTS:
        raise ValueError(f"{path} must hold at most {_MAX_ELEMENTS} numbers. Received: {total}")
    return {
        layer: {name: _array(dataset, path) for name, dataset in tensors.items()}
        for layer, tensors in datasets.items()
    }


def _datasets(root: h5py.Group, path: Path) -> Iterator[tuple[str, str, h5py.Dataset]]:
    """Yield the layer, the name and the dataset of every tensor, checked."""
    visited = 0
    waiting: deque[tuple[str, h5py.Group]] = deque([("", root)])
    while waiting:
        layer, group = waiting.popleft()
        for name in group:
            visited += 1
            # Groups may contain each other, so that a walk may never end.
            if visited > _MAX_MEMBERS:
                raise ValueError(f"{path} has more than {_MAX_MEMBERS} members")
            member = _member(group, name, path)
            if isinstance(member, h5py.Group):
                waiting.append((layer or name, member))
            elif layer:
                _check_dataset(member, path)
                yield layer, name.removesuffix(":0"), member
            else:
                raise ValueError(f"{path} must hold one group per layer, but {name!r} is a tensor")


def _member(group: h5py.Group, name: str, path: Path) -> h5py.Group | h5py.Dataset | None:
    """Return a member stored in this file at this place, or None."""
    link = group.get(name, getlink=True)
    if link is None:
        return None
    where = f"{path}: {group.name.rstrip('/')}/{name}"
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{where} must not be a link to another place or file")
    member = group[name]
    if not isinstance(member, (h5py.Group, h5py.Dataset)):
        raise ValueError(f"{where} is neither a group nor a tensor")
    return member


def _group(parent: h5py.Group, name: str, path: Path) -> h5py.Group:
    member = _member(parent, name, path)
    if not isinstance(member, h5py.Group):
        raise ValueError(f"{path}: {name!r} at {parent.name} must be a group of weights")
    return member


def _check_dataset(dataset: h5py.Dataset, path: Path) -> None:
    where = f"{path}: the tensor {dataset.name}"
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{where} must not be stored in another file")
    if dataset.dtype.kind != "f":
        raise ValueError(f"{where} must be floating-point. Received: {dataset.dtype}")
    if dataset.shape is None:
        raise ValueError(f"{where} is empty")
    # Data that were never written are read as any number of zeros.
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > stored * (_DEFLATE_RATIO if dataset.chunks else 1):
        raise ValueError(
            f"{where} claims {dataset.nbytes:,} bytes, more than the {stored:,} stored can hold"
        )


def _array(dataset: h5py.Dataset, path: Path) -> np.ndarray:
    values = dataset[()].astype("float32", copy=False)
    if not np.isfinite(values).all():
        raise ValueError(f"{path}: the tensor {dataset.name} must be finite")
    return values
