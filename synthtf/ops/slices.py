"""Stacks of slices: which slice a voxel belongs to, and what a slice profile sees."""

import math
from typing import Any

from keras import ops

from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.resample import axis_grid

Tensor = Any

PROFILES = ("box", "gaussian")

# A Gaussian profile of full width at half maximum f has a standard deviation of this many f.
FWHM_TO_STD = 1 / (2 * math.sqrt(2 * math.log(2)))


def slice_index(thickness: Tensor, phase: Tensor, size: int) -> Tensor:
    """Number of the slice that each voxel along an axis belongs to.

    Args:
        thickness: tensor of shape `(batch,)`, in voxels.
        phase: tensor of shape `(batch,)`, share of the first slice that lies before the first
            voxel, in [0, 1).
        size: number of voxels along the axis.

    Returns:
        float32 tensor of whole numbers, `(batch, size)`, that starts at zero.
    """
    voxel = ops.arange(size, dtype="float32")[None]
    return ops.floor(voxel / thickness[:, None] + phase[:, None])


def slice_matrix(
    thickness: Tensor, distance: Tensor, start: Tensor, size: int, profile: str, nearest: bool
) -> Tensor:
    """Acquire slices along one axis and interpolate them back to its voxels.

    Slice `k` is the mean of the signal, linear between voxels for a box, under the profile
    about `start + k distance`. Voxels outside of the first and the last slice take its value.
    Nothing is done where thickness and distance are at most one voxel.

    Args:
        thickness: tensor of shape `(batch,)`, in voxels; full width at half maximum of a
            Gaussian. One voxel is the least.
        distance: tensor of shape `(batch,)`, between the centres of slices, in voxels.
        start: tensor of shape `(batch,)`, centre of the first slice, in voxels.
        size: number of voxels along the axis.
        profile: "box" or "gaussian".
        nearest: whether a voxel takes the nearest slice, instead of a mean of two.

    Returns:
        float32 tensor of shape `(batch, size, size)`, whose rows sum to one.
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
    """How many voxels from its centre a slice sees, at most; the thickness in voxels."""
    thickness = max(thickness, 1.0)
    half = thickness / 2 if profile == "box" else 4 * FWHM_TO_STD * thickness
    return math.ceil(half) + 1


def _box(offset: Tensor, thickness: Tensor) -> Tensor:
    """Integrals of the hat functions of linear interpolation over a box."""
    return _hat_integral(offset + thickness / 2) - _hat_integral(offset - thickness / 2)


def _hat_integral(x: Tensor) -> Tensor:
    """Integral of `max(0, 1 - |u|)` for `u` up to `x`."""
    x = ops.clip(x, -1.0, 1.0)
    return 0.5 + x - 0.5 * x * ops.abs(x)


def _gaussian(offset: Tensor, thickness: Tensor) -> Tensor:
    std = thickness * FWHM_TO_STD
    weight = in_whole_vectors(ops.exp, -0.5 * ops.square(offset / std))
    return ops.where(ops.abs(offset) <= ops.ceil(4.0 * std), weight, 0.0)
