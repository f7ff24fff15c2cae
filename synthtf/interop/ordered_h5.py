"""Reading the tensors of a file of legacy Keras in the order of its model.

Names count for nothing then, and large files can be read tensor by tensor.
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from synthtf.data import hdf5
from synthtf.interop.h5 import readable_h5, weights_group

_MAX_NAMES = 2**22  # bytes of a list of names
_MAX_ELEMENTS = 2**32  # SynthMorph's hypernetwork has 2**30
_ROOT = "model_weights"  # of a whole model


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
        return hdf5.values_of(self.dataset, str(self.path))


@contextmanager
def ordered_tensors(path: str | os.PathLike) -> Iterator[list[StoredTensor]]:
    """Open a file of legacy Keras for its tensors in the order in which the model has them.

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
    with readable_h5(path) as file:
        root = file
        if hdf5.member(file, _ROOT, str(path)) is not None:
            root = weights_group(file, _ROOT, path)
        found = []
        for layer in _names(root, "layer_names", path):
            group = weights_group(root, layer, path)
            for name in _names(group, "weight_names", path):
                dataset = _dataset(group, name, path)
                found.append(
                    StoredTensor(layer, f"{layer}/{name.removesuffix(':0')}", dataset, path)
                )
                if len(found) > hdf5.MAX_MEMBERS:
                    raise ValueError(f"{path} has more than {hdf5.MAX_MEMBERS} tensors")
        total = sum(math.prod(tensor.shape) for tensor in found)
        if total > _MAX_ELEMENTS:
            raise ValueError(f"{path} must hold at most {_MAX_ELEMENTS} numbers. Received: {total}")
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
        small = stored.get_storage_size() <= _MAX_NAMES
        values = np.ravel(group.attrs[part]).tolist() if small else [None]
        if not all(isinstance(value, bytes | str) for value in values):
            raise ValueError(f"{path}: the attribute {part} of {group.name} is damaged")
        names += [v.decode("utf-8") if isinstance(v, bytes) else v for v in values]
    return names


def _dataset(group: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """Find a tensor by its name, in groups of groups, and check it."""
    member: h5py.Group | h5py.Dataset | None = group
    for part in name.split("/"):
        member = hdf5.member(member, part, str(path)) if isinstance(member, h5py.Group) else None
    if not isinstance(member, h5py.Dataset):
        raise ValueError(f"{path} lacks the tensor {group.name.strip('/')}/{name}")
    hdf5.check_tensor(member, str(path))
    return member
