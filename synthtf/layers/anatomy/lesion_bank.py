"""A bank of real lesions: their masks, and where they go in a label map."""

import functools
import os
from typing import Any

import numpy as np
from keras import ops

from synthtf.ops.affine import affine_matrix, in_voxels
from synthtf.ops.indexing import gather
from synthtf.ops.resampling import axis_grid, resample

Tensor = Any


def as_folder(value: Any, name: str) -> str:
    """Check the path of a folder; it need not be there before it is used.

    Raises:
        ValueError: if it is not a path.
    """
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ValueError(f"`{name}` must be the path of a folder. Received: {name}={value!r}")
    return os.fspath(value)


@functools.lru_cache(maxsize=4)
def read_bank(folder: str, spacing: tuple[float, ...]) -> np.ndarray:
    """Read the masks of a folder.

    Args:
        folder: holds volumes that are non-zero in lesions, or is a .txt list of them.
        spacing: mm per voxel, one per axis; files of other dimensions are left out.

    Returns:
        `(masks, *spatial)`, uint8, in RAS. The centre of each file is the centre of the array,
        which is cropped to what holds a lesion.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if a file is not a mask, or no file of these dimensions holds a lesion.
    """
    from synthtf.data.geometry import conform_labels, crop_or_pad
    from synthtf.data.paths import expand_inputs
    from synthtf.data.volumes import Volume, read_volume

    masks = []
    for path in expand_inputs(folder):
        volume = read_volume(path, labels=True)
        if volume.ndim == len(spacing) and volume.data.any():
            found = conform_labels(volume, spacing)
            masks.append(Volume((found.data > 0).astype(np.uint8), found.affine))
    if not any(mask.data.any() for mask in masks):
        raise ValueError(f"{folder}: no mask of {len(spacing)} axes holds a lesion; give others")
    shape = [max(_extent(mask.data, axis) for mask in masks) for axis in range(len(spacing))]
    return np.stack([crop_or_pad(mask, shape).data for mask in masks])


def _extent(mask: np.ndarray, axis: int) -> int:
    """Voxels along an axis, about the centre of a mask, that hold its lesions and one on each side.

    Without the latter, half of the last voxel of a lesion would be lost where it is scaled.
    """
    n = mask.shape[axis]
    where = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
    # As odd or even as the mask, so that the centre stays where it is.
    return n + 2 - 2 * int(min(where[0], n - 1 - where[-1])) if where.size else 1


def placed(
    bank: np.ndarray, allowed: Tensor, draws: dict[str, Tensor], spacing: tuple[float, ...]
) -> Tensor:
    """Lay a mask of a bank over each sample.

    Args:
        bank: as `read_bank` gives it.
        allowed: boolean, `(batch, *spatial, 1)`; the centre of the mask goes to its centroid.
        draws: "which" mask, in [0, 1); "mirrored", whether its first axis is reversed;
            "translation", mm; "rotation", degrees; "scaling", ratio, above one for larger lesions.
        spacing: mm per voxel, one per axis.

    Returns:
        Boolean tensor of the shape of `allowed`.
    """
    shape = tuple(allowed.shape[1:-1])
    ndim = len(shape)
    number = ops.cast(ops.floor(draws["which"][:, 0] * len(bank)), "int32")
    number = ops.clip(number, 0, len(bank) - 1)
    masks = gather(ops.convert_to_tensor(bank), number)[..., None]
    mirrored = ops.reshape(draws["mirrored"], (-1,) + (1,) * (ndim + 1))
    masks = ops.where(mirrored, ops.flip(masks, axis=1), masks)
    scaling = 1.0 / ops.tile(draws["scaling"], (1, ndim))
    none = ops.zeros_like(draws["rotation"])
    turn = affine_matrix(ops.zeros_like(draws["translation"]), draws["rotation"], scaling, none)
    turn = in_voxels(turn, spacing)
    offset = _centroid(allowed) + draws["translation"] / ops.convert_to_tensor(spacing, "float32")
    # Where the centre of the mask goes is taken to the centre of the mask.
    shift = -ops.sum(turn[:, :ndim, :ndim] * offset[:, None], axis=-1, keepdims=True)
    top = ops.concatenate([turn[:, :ndim, :ndim], shift], axis=-1)
    matrix = ops.concatenate([top, turn[:, ndim:]], axis=1)
    return resample(masks, matrix, "nearest", fill=0, shape=shape) > 0


def _centroid(mask: Tensor) -> Tensor:
    """Give the mean position of a mask, in voxels from the centre of the volume; 0 if empty."""
    spatial = tuple(mask.shape[1:-1])
    weight = ops.cast(mask[..., 0], "float32")
    axes = tuple(range(1, len(spatial) + 1))
    total = ops.maximum(ops.sum(weight, axis=axes), 1.0)
    found = []
    for axis, size in enumerate(spatial):
        line = axis_grid(size, axis, len(spatial)) - (size - 1) / 2
        found.append(ops.sum(weight * line, axis=axes) / total)
    return ops.stack(found, axis=-1)
