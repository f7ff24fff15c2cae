"""Stacks of slices: which slice a voxel belongs to, and what a slice profile covers."""

import math
from typing import Any

from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.resampling import axis_grid

Tensor = Any

PROFILES = ("box", "gaussian")

# A Gaussian profile of full width at half maximum f has a standard deviation of this many f.
FWHM_TO_STD = 1 / (2 * math.sqrt(2 * math.log(2)))


@takes_arrays
def slice_index(thickness: Tensor, phase: Tensor, size: int) -> Tensor:
    """Return the number of the slice that each voxel along an axis belongs to.

    Args:
        thickness: `(batch,)`, in voxels.
        phase: `(batch,)`, share of the first slice that lies before the first voxel, in [0, 1).
        size: number of voxels along the axis.

    Returns:
        float32 tensor of whole numbers from zero, `(batch, size)`.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(slice_index(ops.array([2.0]), ops.array([0.5]), 5))[0].tolist()
        [0.0, 1.0, 1.0, 2.0, 2.0]
    """
    voxel = ops.arange(size, dtype="float32")[None]
    return ops.floor(voxel / thickness[:, None] + phase[:, None])


@takes_arrays
def slice_matrix(
    thickness: Tensor, distance: Tensor, start: Tensor, size: int, profile: str, nearest: bool
) -> Tensor:
    """Return the matrix that acquires slices along one axis and interpolates them back to voxels.

    Slice `k` is the mean of the signal under the profile about `start + k distance`; for a box,
    the signal is linear between voxels. Voxels before the first and after the last slice take its
    value. The matrix is the identity where thickness and distance are at most one voxel.

    Args:
        thickness: `(batch,)`, in voxels; for a Gaussian, the full width at half maximum. Values
            below one voxel count as one.
        distance: `(batch,)`, distance between the centres of slices, in voxels.
        start: `(batch,)`, centre of the first slice, in voxels.
        size: number of voxels along the axis.
        profile: "box" or "gaussian".
        nearest: give a voxel the nearest slice, instead of interpolating between two.

    Returns:
        float32 tensor of shape `(batch, size, size)`, whose rows sum to one.

    Example:
        >>> from keras import ops
        >>> two, one = ops.array([2.0]), ops.array([1.0])
        >>> matrix = slice_matrix(two, two, one, 4, "box", nearest=True)
        >>> ops.convert_to_numpy(matrix)[0, :2].tolist()
        [[0.25, 0.5, 0.25, 0.0], [0.25, 0.5, 0.25, 0.0]]
    """
    thickness, distance, start = (x[:, None, None] for x in (thickness, distance, start))
    idle = ops.logical_and(thickness < 1.0 + 1e-5, distance < 1.0 + 1e-5)
    thickness = ops.maximum(thickness, 1.0)
    column, row = axis_grid(size, 0, 2), axis_grid(size, 1, 2)
    position = (column - start) / distance
    last = ops.relu(ops.floor((size - 1.0 - start) / distance))
    weigh = _box if profile == "box" else _gaussian

    def acquire(index: Tensor) -> Tensor:
        weight = weigh(start + index * distance - row, thickness)
        return weight / ops.sum(weight, axis=-1, keepdims=True)

    if nearest:
        matrix = acquire(ops.clip(ops.round(position), 0.0, last))
    else:
        below = ops.clip(ops.floor(position), 0.0, last)
        weight = ops.clip(position - below, 0.0, 1.0)
        above = ops.minimum(below + 1.0, last)
        matrix = (1.0 - weight) * acquire(below) + weight * acquire(above)
    return ops.where(idle, ops.cast(ops.equal(column, row), "float32"), matrix)


def profile_reach(thickness: float, profile: str) -> int:
    """Return how far from its centre a slice profile reaches, at most.

    Args:
        thickness: in voxels.
        profile: "box" or "gaussian".

    Returns:
        Whole number of voxels.

    Example:
        >>> profile_reach(4.0, "box")
        3
    """
    thickness = max(thickness, 1.0)
    half = thickness / 2 if profile == "box" else 4 * FWHM_TO_STD * thickness
    return math.ceil(half) + 1


def _box(offset: Tensor, thickness: Tensor) -> Tensor:
    """Integrate the hat functions of linear interpolation over a box."""
    return _hat_integral(offset + thickness / 2) - _hat_integral(offset - thickness / 2)


def _hat_integral(x: Tensor) -> Tensor:
    """Integrate `max(0, 1 - |u|)` for `u` up to `x`."""
    x = ops.clip(x, -1.0, 1.0)
    return 0.5 + x - 0.5 * x * ops.abs(x)


def _gaussian(offset: Tensor, thickness: Tensor) -> Tensor:
    std = thickness * FWHM_TO_STD
    weight = in_whole_vectors(ops.exp, -0.5 * ops.square(offset / std))
    return ops.where(ops.abs(offset) <= ops.ceil(4.0 * std), weight, 0.0)
