"""What an HDF5 file of weights declares, checked before any array is allocated.

Such a file can refer to other files, claim sizes that fill the memory, or hold tensors that were
never written, which HDF5 reads as zeros.
"""

import math
from collections import deque
from collections.abc import Iterator

import h5py
import numpy as np

MAX_ELEMENTS = 2**28
"""Numbers of all tensors together: 1 GiB as float32, ten times the largest network of this kind."""

MAX_MEMBERS = 20_000
"""Groups and tensors of a file."""

_DEFLATE_RATIO = 1032  # largest compression ratio of deflate
_LARGEST = 1e10  # no weight of a trained network is near it; a flipped bit of an exponent is


def tensors(root: h5py.Group, where: str) -> Iterator[tuple[tuple[str, ...], h5py.Dataset]]:
    """Walk through the tensors of a group, and check what each declares.

    Args:
        root: the group.
        where: name of the file, for the message.

    Yields:
        Names from the root to the tensor, and the tensor.

    Raises:
        ValueError: if a member is a link to another place, is too large, was never written
            completely, or there are too many.
    """
    visited = total = 0
    waiting: deque[tuple[tuple[str, ...], h5py.Group]] = deque([((), root)])
    while waiting:
        names, group = waiting.popleft()
        for name in group:
            visited += 1
            # Groups may contain each other, so that a walk may never end.
            if visited > MAX_MEMBERS:
                raise ValueError(f"{where} has more than {MAX_MEMBERS} members")
            found = member(group, name, where)
            if isinstance(found, h5py.Group):
                waiting.append(((*names, name), found))
                continue
            check_tensor(found, where)
            total += math.prod(found.shape)
            if total > MAX_ELEMENTS:
                raise ValueError(f"{where} must hold at most {MAX_ELEMENTS} numbers")
            yield (*names, name), found


def member(group: h5py.Group, name: str, where: str) -> h5py.Group | h5py.Dataset | None:
    """Return a member that is stored in this file at this place, or None.

    Args:
        group: the group that it is in.
        name: its name there.
        where: name of the file, for the message.

    Raises:
        ValueError: if it is a link, or neither a group nor a tensor.
    """
    link = group.get(name, getlink=True)
    if link is None:
        return None
    place = f"{where}: {group.name.rstrip('/')}/{name}"
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{place} must not be a link to another place or file")
    found = group[name]
    if not isinstance(found, h5py.Group | h5py.Dataset):
        raise ValueError(f"{place} is neither a group nor a tensor")
    return found


def values_of(dataset: h5py.Dataset, where: str) -> np.ndarray:
    """Read a tensor of floating-point numbers.

    Args:
        dataset: from `tensors`.
        where: name of the file, for the message.

    Returns:
        float32 array.

    Raises:
        ValueError: if it has another type, is not finite, or no network has such numbers.
    """
    if dataset.dtype.kind != "f":
        raise ValueError(
            f"{where}: the tensor {dataset.name} must be floating-point. Received: {dataset.dtype}"
        )
    values = dataset[()]
    if not np.isfinite(values).all():
        raise ValueError(f"{where}: the tensor {dataset.name} must be finite")
    largest = float(np.abs(values).max()) if values.size else 0.0
    if largest > _LARGEST:
        raise ValueError(
            f"{where}: the tensor {dataset.name} must be at most {_LARGEST:g}. "
            f"Received: {largest:g}; the file is damaged"
        )
    return values.astype("float32", copy=False)


def check_tensor(dataset: h5py.Dataset, file: str) -> None:
    """Check what a tensor declares.

    Args:
        dataset: the tensor.
        file: name of the file, for the message.

    Raises:
        ValueError: if it is stored elsewhere, has no numbers, or was never written completely.
    """
    where = f"{file}: the tensor {dataset.name}"
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{where} must not be stored in another file")
    if dataset.shape is None:
        raise ValueError(f"{where} is empty")
    if dataset.dtype.kind not in "fiub":
        raise ValueError(f"{where} must be floating-point. Received: {dataset.dtype}")
    # Data that were never written are read as any number of zeros.
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > stored * (_DEFLATE_RATIO if dataset.chunks else 1):
        raise ValueError(
            f"{where} claims {dataset.nbytes:,} bytes, more than the {stored:,} stored can hold"
        )
    if dataset.chunks and math.prod(dataset.shape):
        sides = zip(dataset.shape, dataset.chunks, strict=True)
        if dataset.id.get_num_chunks() < math.prod(-(-size // chunk) for size, chunk in sides):
            raise ValueError(f"{where} was never written completely")
