"""Small shapes, each computed in a window around its centre and painted into the volume."""

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
    """Windows of voxels around points, `num` per sample.

    Attributes:
        offsets: distance from the point in mm, one tensor `(batch, num, width)` per axis.
        squared: `(batch, num, *widths)`, squared distance in mm²; very large outside the volume.
        index: int32 `(batch, num, *widths)`, indices of the voxels in the flattened sample.
        is_centre: boolean `(batch, num, *widths)`, true at the voxel closest to the point if it
            lies in the volume.

    Example:
        >>> from keras import ops
        >>> around = windows([ops.array([[3.0]])], 1.0, (1.0,), (8,))
        >>> ops.convert_to_numpy(around.squared)[0, 0].tolist()
        [1.0, 0.0, 1.0]
    """

    offsets: list[Tensor]
    squared: Tensor
    index: Tensor
    is_centre: Tensor


def windows(
    points: Sequence[Tensor], radius: float, spacing: Sequence[float], shape: Sequence[int]
) -> Windows:
    """Return the windows of voxels around points.

    Args:
        points: one tensor `(batch, num)` per axis, in voxels.
        radius: distance from the point that the windows cover, in mm.
        spacing: mm per voxel, one per axis.
        shape: spatial shape of the volume.

    Returns:
        Windows of the same size for all points, centred at the closest voxel.

    Example:
        >>> from keras import ops
        >>> around = windows([ops.array([[3.0]])], 2.0, (2.0,), (8,))
        >>> ops.convert_to_numpy(around.index)[0, 0].tolist()
        [2, 3, 4]
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
    """Paint windows into empty volumes; the largest value wins where several overlap.

    Args:
        values: int32 `(batch, num, *widths)`, non-negative; 0 paints nothing.
        index: `(batch, num, *widths)`, the `index` of the windows.
        shape: spatial shape of the volume.

    Returns:
        int32 tensor of shape `(batch, *shape, 1)`.

    Example:
        >>> from keras import ops
        >>> around = windows([ops.array([[2.0]])], 1.0, (1.0,), (5,))
        >>> painted = paint(ops.array([[[7, 8, 7]]]), around.index, (5,))
        >>> ops.convert_to_numpy(painted)[0, :, 0].tolist()
        [0, 7, 8, 7, 0]
    """
    batch, voxels = ops.shape(values)[0], math.prod(shape)
    index = index + batch_offset(batch, voxels, len(values.shape) - 1)
    flat = ops.segment_max(
        ops.reshape(values, (-1,)), ops.reshape(index, (-1,)), num_segments=batch * voxels
    )
    return ops.reshape(ops.maximum(flat, 0), (-1, *shape, 1))


def direction_noise(coefficients: Tensor, surroundings: Windows) -> Tensor:
    """Return smooth noise on the sphere of directions, `N(0, 1)` in each direction.

    The sum of two homogeneous polynomials with independent Gaussian coefficients, whose
    variances are the multinomial numbers. For unit vectors u, v its covariance is
    `(c^(n - 1) + c^n) / 2` with `c = u·v`: no direction is preferred, and opposite directions
    are independent.

    Args:
        coefficients: `(batch, num, 2, *degrees)`, standard normal, with `n + 1` degrees per axis.
            Only those of total degree `n - 1` and `n` are used.
        surroundings: windows around the points that the directions start from.

    Returns:
        float32 tensor of shape `(batch, num, *widths)`; 0 at the point itself.

    Example:
        >>> from keras import ops
        >>> around = windows([ops.array([[2.0]]), ops.array([[2.0]])], 1.0, (1.0, 1.0), (5, 5))
        >>> noise = direction_noise(ops.ones((1, 1, 2, 3, 3)), around)
        >>> tuple(noise.shape), float(noise[0, 0, 1, 1])
        ((1, 1, 3, 3), 0.0)

    Reference:
        Kostlan, On the distribution of roots of random polynomials, 1993.
    """
    num, degree = coefficients.shape[1], coefficients.shape[-1] - 1
    ndim = len(surroundings.offsets)
    widths = tuple(surroundings.squared.shape[2:])
    weights = ops.convert_to_tensor(_monomial_std(degree, ndim), "float32")
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
    """Return `x^0` to `x^degree` along a new last axis."""
    columns = [ops.ones_like(x)]
    for _ in range(degree):
        columns.append(columns[-1] * x)
    return ops.stack(columns, axis=-1)


def _monomial_std(degree: int, ndim: int) -> np.ndarray:
    """Return square roots of the multinomial numbers of `degree - 1` and `degree`, elsewhere 0."""
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
        int32 tensor of shape `(batch, num)`, indices of the flattened sample; arbitrary if the
        mask is empty.

    Example:
        >>> from keras import ops
        >>> mask = ops.array([False, True, False, True])[None, :, None]
        >>> ops.convert_to_numpy(pick_voxels(mask, ops.array([[0.2, 0.7]])))[0].tolist()
        [1, 3]
    """
    *others, width = mask.shape[1:-1]
    lines = ops.cast(ops.reshape(mask, (-1, math.prod(others), width)), "int32")
    ends = ops.cumsum(ops.sum(lines, axis=-1), axis=1)
    total = ends[:, -1:]
    rank = ops.cast(ops.floor(chance * ops.cast(total, "float32")), "int32")
    rank = ops.clip(rank, 0, ops.maximum(total - 1, 0))
    # First the line, then the voxel in it, by the number of mask voxels up to their ends.
    line = _count_up_to(rank, ends[:, None])
    line = ops.minimum(line, lines.shape[1] - 1)
    here = ops.take_along_axis(lines, line[..., None], axis=1)
    ends_here = ops.cumsum(here, axis=-1)
    rank = rank - take_per_sample(ends, line) + ends_here[..., -1]
    return line * width + ops.minimum(_count_up_to(rank, ends_here), width - 1)


def _count_up_to(rank: Tensor, ends: Tensor) -> Tensor:
    return ops.sum(ops.cast(ends <= rank[..., None], "int32"), axis=-1)


def spline_matrix(size: int, num_points: int) -> Tensor:
    """Return cubic B-spline weights of control points from border to border.

    Args:
        size: number of voxels along the axis.
        num_points: number of control points; the first and the last lie on the border.

    Returns:
        float32 tensor of shape `(1, size, num_points)`; each row sums to one.

    Example:
        >>> from keras import ops
        >>> print(ops.convert_to_numpy(spline_matrix(3, 2))[0].round(2))
        [[0.8 0.2]
         [0.5 0.5]
         [0.2 0.8]]
    """
    distance = ops.abs(control_offset(ops.full((1,), num_points, "int32"), size, num_points))
    weight = ops.power(ops.relu(2.0 - distance), 3) - 4.0 * ops.power(ops.relu(1.0 - distance), 3)
    return weight / ops.sum(weight, axis=-1, keepdims=True)
