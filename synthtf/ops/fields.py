"""Composition, integration and Jacobians of displacement fields, in voxels."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.linear import matrix_product
from synthtf.ops.resampling import (
    affine_positions,
    axis_grid,
    check_transform,
    clamp,
    positions,
    sample_linear,
)
from synthtf.xla import fused

Tensor = Any


def compose(outer: Tensor, inner: Tensor, shape: Sequence[int] | None = None) -> Tensor:
    """Compose two transforms into `x ↦ outer(inner(x))`.

    Args:
        outer: affine matrix `(batch, ndim + 1, ndim + 1)`, or displacement field
            `(batch, *grid, ndim)` in voxels.
        inner: the same; applied first.
        shape: spatial shape of the volume, needed only where it is larger than a field's grid.
            Default: the grid of the field.

    Returns:
        A matrix if both are matrices, else a displacement field on the inner field's grid (the
        outer's if the inner is a matrix). Outside of its grid, the outer field keeps its border
        values.

    Raises:
        ValueError: if a transform is neither a matrix nor a field for these axes.

    Example:
        >>> from keras import ops
        >>> shift = ops.array([[[1.0, 2.0], [0.0, 1.0]]])
        >>> ops.convert_to_numpy(compose(shift, shift))[0, 0].tolist()
        [1.0, 4.0]
        >>> field = ops.ones((1, 3, 3, 2))
        >>> ops.convert_to_numpy(compose(field, field))[0, 1, 1].tolist()
        [2.0, 2.0]
    """
    fields = [t for t in (inner, outer) if len(t.shape) > 3]
    if not fields:
        return matrix_product(outer, inner)
    grid = tuple(fields[0].shape[1:-1])
    shape = tuple(shape or grid)
    ndim = len(grid)
    check_transform(inner, ndim)
    check_transform(outer, ndim)
    step = [(n - 1) / max(m - 1, 1) for n, m in zip(shape, grid, strict=True)]
    start = [axis_grid(m, d, ndim) * step[d] for d, m in enumerate(grid)]
    points = _follow(inner, start, grid, shape)
    points = _follow(outer, points, None, shape)
    return ops.stack([p - x for p, x in zip(points, start, strict=True)], axis=-1)


def _follow(
    transform: Tensor, points: list[Tensor], grid: tuple | None, shape: Sequence[int]
) -> list[Tensor]:
    """Send points, in voxels of the volume, through a transform."""
    if len(transform.shape) == 3:
        return affine_positions(transform, points, shape)
    own = tuple(transform.shape[1:-1])
    parts = [transform[..., d] for d in range(len(own))]
    if grid != own:
        scale = [(m - 1) / max(n - 1, 1) for n, m in zip(shape, own, strict=True)]
        at = [clamp(p * s, m) for p, s, m in zip(points, scale, own, strict=True)]
        flat = [ops.reshape(part, (-1,)) for part in parts]
        parts = sample_linear(flat, at, own, ops.shape(transform)[0])
    return [p + u for p, u in zip(points, parts, strict=True)]


@takes_arrays
def integrate_velocity(velocity: Tensor, steps: int = 7, fuse: bool = False) -> Tensor:
    """Integrate a stationary velocity field over unit time by scaling and squaring.

    `v / 2^steps`, then `steps` times `v(x) += v(x + v(x))`, clamped to the border.

    Args:
        velocity: `(batch, *spatial, ndim)`, in voxels of its own grid.
        steps: number of squarings, at least zero.
        fuse: whether to look up with `xla.fused`, whose gradient is slow.

    Returns:
        Displacement field of the same shape, in voxels.

    Example:
        >>> from keras import ops
        >>> displacement = integrate_velocity(ops.full((1, 4, 4, 2), 0.5))
        >>> ops.convert_to_numpy(displacement)[0, 0, 0].tolist()  # a constant velocity
        [0.5, 0.5]

    Reference:
        Arsigny et al., A log-Euclidean framework for statistics on diffeomorphisms,
        MICCAI 2006.
    """
    if not fuse:
        parts = [velocity[..., d] for d in range(velocity.shape[-1])]
        return ops.stack(integrate_components(parts, steps), axis=-1)
    batch, *shape, ndim = ops.shape(velocity)
    grid = [axis_grid(n, d, ndim) for d, n in enumerate(shape)]

    # XLA looks up whole vectors four times as fast as their parts.
    def square(field: Tensor) -> Tensor:
        at = [clamp(x + field[..., d], n) for d, (x, n) in enumerate(zip(grid, shape, strict=True))]
        return field + sample_linear([ops.reshape(field, (-1, ndim))], at, shape, batch)[0]

    start = (velocity / 2.0**steps,)
    return _repeat(steps, lambda field: (fused(square, *field),), start)[0]


@takes_arrays
def integrate_components(
    velocity: Sequence[Tensor], steps: int, fuse: bool = False
) -> list[Tensor]:
    """Integrate a velocity field given as one tensor per axis.

    Args:
        velocity: one tensor `(batch, *spatial)` per axis, in voxels.
        steps: number of squarings, at least zero.
        fuse: whether to look up with `xla.fused`, whose gradient is slow.

    Returns:
        The displacement field, one tensor `(batch, *spatial)` per axis, in voxels.

    Example:
        >>> from keras import ops
        >>> first, second = integrate_components([ops.ones((1, 4, 4)), ops.zeros((1, 4, 4))], 5)
        >>> float(first[0, 0, 0]), float(second[0, 0, 0])
        (1.0, 0.0)
    """
    batch, *shape = ops.shape(velocity[0])
    ndim = len(shape)
    grid = [axis_grid(n, d, ndim) for d, n in enumerate(shape)]

    def apply(function: Callable, *tensors: Any) -> Any:
        return fused(function, *tensors, passes=steps * ndim * 2**ndim if fuse else 0)

    def square(parts: Sequence[Tensor]) -> tuple[Tensor, ...]:
        at = [clamp(x + v, n) for x, v, n in zip(grid, parts, shape, strict=True)]
        flat = [ops.reshape(v, (-1,)) for v in parts]
        moved = sample_linear(flat, at, shape, batch, apply)
        return tuple(v + m for v, m in zip(parts, moved, strict=True))

    return list(_repeat(steps, square, tuple(v / 2.0**steps for v in velocity)))


def _repeat(times: int, step: Callable, values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Apply a step several times, in a loop: XLA takes minutes to compile unrolled squarings."""
    if times == 0:
        return values
    if keras.backend.backend() == "tensorflow":
        # XLA can differentiate a loop of TensorFlow only if it has a maximum length; JAX can
        # differentiate only a loop of the other kind.
        start = (0, *values)
        return ops.while_loop(
            lambda i, *_: i < times,
            lambda i, *parts: (i + 1, *step(parts)),
            start,
            maximum_iterations=times,
        )[1:]
    return ops.fori_loop(0, times, lambda _, parts: step(parts), values)


def mirror_transform(transform: Tensor, axis: int, shape: Sequence[int]) -> Tensor:
    """Put a flip in front of a transform: `x ↦ transform(flip(x))`.

    Args:
        transform: affine matrix `(batch, ndim + 1, ndim + 1)` or displacement field
            `(batch, *grid, ndim)`, in voxels.
        axis: spatial axis of the flip.
        shape: spatial shape of the volume, whose corners are those of the grid.

    Returns:
        Tensor of the same shape. What it moves comes out flipped, without an interpolation more.

    Example:
        >>> import numpy as np
        >>> matrix = mirror_transform(np.eye(3, dtype="float32")[None], axis=0, shape=(8, 8))
        >>> np.diag(matrix[0]).tolist()
        [-1.0, 1.0, 1.0]
    """
    ndim = len(shape)
    if len(transform.shape) == 3:
        sign = [[[-1.0 if d == axis else 1.0 for d in range(ndim + 1)]]]
        return transform * ops.convert_to_tensor(sign, dtype="float32")
    grid = tuple(transform.shape[1:-1])
    step = (shape[axis] - 1) / max(grid[axis] - 1, 1)
    change = (shape[axis] - 1) - 2 * step * axis_grid(grid[axis], axis, ndim)
    flipped = ops.flip(transform, axis=axis + 1)
    parts = [flipped[..., d] + change if d == axis else flipped[..., d] for d in range(ndim)]
    return ops.stack(parts, axis=-1)


def dense_displacement(matrix: Tensor, shape: Sequence[int]) -> Tensor:
    """Turn affine matrices into displacement fields about the centre of the volume.

    Args:
        matrix: `(batch, ndim + 1, ndim + 1)`.
        shape: spatial shape.

    Returns:
        Tensor of shape `(batch, *shape, ndim)`, in voxels.

    Example:
        >>> from keras import ops
        >>> double = ops.array([[[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]])
        >>> ops.convert_to_numpy(dense_displacement(double, (3, 1)))[0, :, 0].tolist()
        [[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    """
    ndim = len(shape)
    points = positions(matrix, shape)
    return ops.stack(
        [p - axis_grid(n, d, ndim) for d, (p, n) in enumerate(zip(points, shape, strict=True))],
        axis=-1,
    )


def jacobian_determinant(displacement: Tensor) -> Tensor:
    """Return the Jacobian determinant of `x + displacement(x)`; not positive where it folds.

    Central differences inside, one-sided ones at the border.

    Args:
        displacement: `(batch, *spatial, ndim)`, in voxels.

    Returns:
        Tensor of shape `(batch, *spatial)`.

    Example:
        >>> from keras import ops
        >>> double = ops.array([[[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]])
        >>> determinant = jacobian_determinant(dense_displacement(double, (4, 4)))
        >>> float(determinant[0, 2, 2])
        4.0
    """
    ndim = displacement.shape[-1]
    jacobian = [
        [central_difference(displacement[..., i], j + 1) + float(i == j) for j in range(ndim)]
        for i in range(ndim)
    ]
    return _determinant(jacobian)


def _determinant(rows: list[list[Tensor]]) -> Tensor:
    """Expand a determinant along its first row."""
    if len(rows) == 1:
        return rows[0][0]
    out = 0.0
    for j, value in enumerate(rows[0]):
        minor = [row[:j] + row[j + 1 :] for row in rows[1:]]
        out = out + (-1) ** j * value * _determinant(minor)
    return out


def central_difference(x: Tensor, axis: int) -> Tensor:
    """Return the slope along an axis: half the difference of both neighbours.

    One-sided at the two ends.

    Args:
        x: tensor of any shape.
        axis: the axis, counted with the batch axis.

    Returns:
        Tensor of the same shape, per voxel.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(central_difference(ops.array([0.0, 1.0, 4.0, 9.0]), 0)).tolist()
        [1.0, 2.0, 4.0, 5.0]
    """

    def part(start: int | None, stop: int | None) -> Tensor:
        index = [slice(None)] * len(x.shape)
        index[axis] = slice(start, stop)
        return x[tuple(index)]

    inside = (part(2, None) - part(None, -2)) / 2.0
    first = part(1, 2) - part(0, 1)
    last = part(-1, None) - part(-2, -1)
    return ops.concatenate([first, inside, last], axis=axis)
