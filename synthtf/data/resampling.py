"""Resampling of volumes: along the axes, each by one matrix or one index, and at points."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import map_coordinates


def axis_matrix(num_in: int, num_out: int, ratio: float) -> np.ndarray:
    """Matrix that resamples one axis about its centre.

    Output voxel `i` lies at input coordinate `(i - (num_out - 1) / 2) * ratio +
    (num_in - 1) / 2`. Where the axis is upsampled (`ratio <= 1`) the input is
    interpolated linearly. Where it is downsampled, the linear interpolant is
    averaged over a box of `sqrt(ratio**2 - 1)` input voxels: added to the input
    voxel's own width, this gives the output voxel's width, in variance. Either
    way, rows sum to one and a linear ramp stays one; beyond the ends the last
    value continues.

    Args:
        num_in: input voxels.
        num_out: output voxels.
        ratio: output voxel size over input voxel size.

    Returns:
        `(num_out, num_in)` float32.

    Raises:
        ValueError: if a size or the ratio is not positive.

    Example:
        >>> axis_matrix(2, 4, 0.5)
        array([[1.  , 0.  ],
               [0.75, 0.25],
               [0.25, 0.75],
               [0.  , 1.  ]], dtype=float32)
    """
    if min(num_in, num_out) < 1 or not ratio > 0:
        raise ValueError(
            "Resampling needs positive sizes and a positive ratio. "
            f"Received: num_in={num_in}, num_out={num_out}, ratio={ratio}"
        )
    centres = (np.arange(num_out) - (num_out - 1) / 2) * ratio + (num_in - 1) / 2
    width = np.sqrt(max(ratio**2 - 1, 0))
    low, high = centres - width / 2, centres + width / 2
    first = min(0, int(np.floor(low.min())))
    last = max(num_in - 1, int(np.ceil(high.max())))
    source = np.arange(first, last + 1)
    if width > 1e-3:
        weights = _ramp(high[:, None] - source) - _ramp(low[:, None] - source)
        weights /= width
    else:
        weights = np.maximum(0, 1 - np.abs(centres[:, None] - source))
    matrix = np.zeros((num_out, num_in))
    np.add.at(matrix, (slice(None), np.clip(source, 0, num_in - 1)), weights)
    return matrix.astype(np.float32)


def apply_matrices(data: np.ndarray, matrices: Sequence[np.ndarray | None]) -> np.ndarray:
    """Multiply each axis of a volume by its matrix.

    Args:
        data: `(n0, n1, n2)`.
        matrices: per axis `(m, n)`, or None to leave the axis as it is.

    Returns:
        `(m0, m1, m2)` float32.

    Example:
        >>> apply_matrices(np.ones((2, 2, 2)), [np.ones((1, 2)), None, None]).tolist()
        [[[2.0, 2.0], [2.0, 2.0]]]
    """
    data = np.asarray(data, np.float32)
    for matrix in matrices:
        # One large product per axis: the first axis goes away and its successor comes last, so
        # that the order is the old one after the last axis.
        if matrix is None:
            data = np.moveaxis(data, 0, -1)
        else:
            rest = data.shape[1:]
            data = data.reshape(data.shape[0], -1).T @ np.asarray(matrix, np.float32).T
            data = data.reshape(*rest, -1)
    return data


def nearest_index(num_in: int, num_out: int, ratio: float, offset: float) -> np.ndarray:
    """Index of the input voxel that is nearest to each output voxel of an axis.

    Args:
        num_in: input voxels.
        num_out: output voxels.
        ratio: output voxel size over input voxel size.
        offset: input coordinate of the first output voxel.

    Example:
        >>> nearest_index(4, 3, 2.0, 0.0).tolist()
        [0, 2, 3]
    """
    coordinates = offset + ratio * np.arange(num_out)
    return np.clip(np.floor(coordinates + 0.5).astype(int), 0, num_in - 1)


def sample(data: np.ndarray, voxels: np.ndarray, nearest: bool = False) -> np.ndarray:
    """Interpolate a volume at points; beyond the ends, the border continues.

    Args:
        data: `(x, y, z, frames)`.
        voxels: `(3, n)`, voxel coordinates.
        nearest: whether to take the nearest voxel instead of interpolating linearly.

    Returns:
        `(n, frames)`, of the type of `data`.

    Example:
        >>> sample(np.arange(8.0).reshape(2, 2, 2, 1), np.array([[0.5], [0], [0]])).tolist()
        [[2.0]]
    """
    if nearest:
        index = np.floor(voxels + 0.5).astype(int)
        last = np.array(data.shape[:3])[:, None] - 1
        return data[tuple(np.clip(index, 0, last))]
    found = np.empty((voxels.shape[1], data.shape[3]), data.dtype)
    for frame in range(data.shape[3]):
        map_coordinates(data[..., frame], voxels, found[:, frame], order=1, mode="nearest")
    return found


def _ramp(x: np.ndarray) -> np.ndarray:
    """Integral of the linear interpolation kernel from minus infinity to `x`."""
    x = np.clip(x, -1, 1)
    return np.where(x < 0, (1 + x) ** 2 / 2, 1 - (1 - x) ** 2 / 2)
