"""Small shapes, each computed in a window of its own and painted into the volume."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from synthtf.ops.indexing import batch_offset, take_per_sample
from synthtf.ops.linear import apply_along_axes, control_offset

Tensor = Any

_FAR = 1e12


class Windows(NamedTuple):
    """The surroundings of points, `num` per sample.

    Attributes:
        offsets: mm from the point, one tensor `(batch, num, width)` per axis.
        squared: `(batch, num, *widths)`, squared distance in mm², huge beyond the volume.
        index: int32 `(batch, num, *widths)`, of the voxels of a flattened sample.
        is_centre: boolean `(batch, num, *widths)`, the voxel closest to the point, unless it
            lies beyond the volume.
    """

    offsets: list[Tensor]
    squared: Tensor
    index: Tensor
    is_centre: Tensor


def windows(
    points: Sequence[Tensor], radius: float, spacing: Sequence[float], shape: Sequence[int]
) -> Windows:
    """Give the voxels around points.

    Args:
        points: one tensor `(batch, num)` per axis, in voxels.
        radius: that the windows hold, in mm.
        spacing: mm per voxel and axis.
        shape: spatial shape of the volume.

    Returns:
        Windows of the same size for all points, centred at the closest voxel.
    """
    ndim = len(shape)
    offsets, squared, index, is_centre = [], 0.0, 0, True
    for d, (point, mm, size) in enumerate(zip(points, spacing, shape, strict=True)):
        reach = min(math.ceil(radius / mm), size)
        steps = ops.arange(-reach, reach + 1, dtype="float32")
        voxel = ops.round(point)[..., None] + steps
        offset = (voxel - point[..., None]) * mm
        inside = ops.logical_and(voxel >= 0, voxel < size)
        at = ops.cast(ops.clip(voxel, 0, size - 1), "int32")
        line = (-1, point.shape[1], *(2 * reach + 1 if a == d else 1 for a in range(ndim)))
        squared = squared + ops.reshape(ops.where(inside, ops.square(offset), _FAR), line)
        index = index * size + ops.reshape(at, line)
        centre = ops.logical_and(inside, ops.equal(steps, 0.0))
        is_centre = ops.logical_and(is_centre, ops.reshape(centre, line))
        offsets.append(offset)
    return Windows(offsets, squared, index, is_centre)


def paint(values: Tensor, index: Tensor, shape: Sequence[int]) -> Tensor:
    """Paint windows into empty volumes; where several overlap, the largest value stays.

    Args:
        values: int32 `(batch, num, *widths)`, non-negative; 0 paints nothing.
        index: that of the windows.
        shape: spatial shape of the volume.

    Returns:
        int32 tensor `(batch, *shape, 1)`.
    """
    batch, voxels = ops.shape(values)[0], math.prod(shape)
    index = index + batch_offset(batch, voxels, len(values.shape) - 1)
    flat = ops.segment_max(
        ops.reshape(values, (-1,)), ops.reshape(index, (-1,)), num_segments=batch * voxels
    )
    return ops.reshape(ops.maximum(flat, 0), (-1, *shape, 1))


def direction_noise(coefficients: Tensor, surroundings: Windows) -> Tensor:
    """Smooth noise on the sphere of directions, `N(0, 1)` in each, without a preferred one.

    The sum of two homogeneous polynomials with independent Gaussian coefficients, whose
    variances are the multinomial numbers. For unit vectors u, v its covariance is
    `(c^(n - 1) + c^n) / 2` with `c = u·v`: opposite directions are independent.

    Args:
        coefficients: `(batch, num, 2, *degrees)`, standard normal, with `n + 1` degrees per axis.
            Those of other than the degrees `n - 1` and `n` are not used.
        surroundings: of the points that the directions start from.

    Returns:
        float32 tensor `(batch, num, *widths)`; 0 at the point itself.

    Reference: Kostlan, On the distribution of roots of random polynomials, 1993.
    """
    num, degree = coefficients.shape[1], coefficients.shape[-1] - 1
    ndim = len(surroundings.offsets)
    widths = tuple(surroundings.squared.shape[2:])
    weights = ops.convert_to_tensor(_monomial_std(degree, ndim))
    coefficients = ops.reshape(coefficients * weights, (-1, 2, *(degree + 1,) * ndim))
    powers = [_powers(ops.reshape(x, (-1, x.shape[-1])), degree) for x in surroundings.offsets]
    low, high = (
        ops.reshape(apply_along_axes(coefficients[:, k, ..., None], powers), (-1, num, *widths))
        for k in range(2)
    )
    squared = surroundings.squared
    inverse = ops.where(squared > 1e-6, 1.0 / ops.maximum(ops.sqrt(squared), 1e-3), 0.0)
    return (low + high * inverse) * math.prod([inverse] * (degree - 1)) * math.sqrt(0.5)


def _powers(x: Tensor, degree: int) -> Tensor:
    """Give `x^0` to `x^degree` along a new last axis."""
    columns = [ops.ones_like(x)]
    for _ in range(degree):
        columns.append(columns[-1] * x)
    return ops.stack(columns, axis=-1)


def _monomial_std(degree: int, ndim: int) -> np.ndarray:
    """Square roots of the multinomial numbers of `degree - 1` and `degree`, elsewhere 0."""
    std = np.zeros((2, *(degree + 1,) * ndim), "float32")
    for exponents in np.ndindex(*std.shape[1:]):
        total = sum(exponents)
        if total >= degree - 1 and total <= degree:
            number = math.factorial(total) / math.prod(map(math.factorial, exponents))
            std[(total - degree + 1, *exponents)] = math.sqrt(number)
    return std


def pick_voxels(mask: Tensor, chance: Tensor) -> Tensor:
    """Pick voxels of a mask, all equally likely.

    Args:
        mask: boolean, `(batch, *spatial, 1)`.
        chance: `(batch, num)`, uniform in [0, 1).

    Returns:
        int32 tensor `(batch, num)`, indices of the flattened sample; arbitrary ones if the mask
        is empty.
    """
    *others, width = mask.shape[1:-1]
    lines = ops.cast(ops.reshape(mask, (-1, math.prod(others), width)), "int32")
    ends = ops.cumsum(ops.sum(lines, axis=-1), axis=1)
    total = ends[:, -1:]
    rank = ops.cast(ops.floor(chance * ops.cast(total, "float32")), "int32")
    rank = ops.clip(rank, 0, ops.maximum(total - 1, 0))
    # The line, then the voxel in it, before whose end as many voxels of the mask lie.
    line = _count_up_to(rank, ends[:, None])
    line = ops.minimum(line, lines.shape[1] - 1)
    here = ops.take_along_axis(lines, line[..., None], axis=1)
    ends_here = ops.cumsum(here, axis=-1)
    rank = rank - take_per_sample(ends, line) + ends_here[..., -1]
    return line * width + ops.minimum(_count_up_to(rank, ends_here), width - 1)


def _count_up_to(rank: Tensor, ends: Tensor) -> Tensor:
    return ops.sum(ops.cast(ends <= rank[..., None], "int32"), axis=-1)


def spline_matrix(size: int, num_points: int) -> Tensor:
    """Cubic B-spline weights of control points whose first and last lie on the border.

    Args:
        size: number of voxels along the axis.
        num_points: number of control points.

    Returns:
        float32 tensor `(1, size, num_points)`; each row adds up to one.
    """
    distance = ops.abs(control_offset(ops.full((1,), num_points), size, num_points))
    weight = ops.power(ops.relu(2.0 - distance), 3) - 4.0 * ops.power(ops.relu(1.0 - distance), 3)
    return weight / ops.sum(weight, axis=-1, keepdims=True)
