"""Resampling, with one interpolation at the positions that a transform gives.

A *transform* maps output to input voxels, both counted from the centre of the
volume. It is an affine matrix `(batch, ndim + 1, ndim + 1)` or a displacement
field `(batch, *grid, ndim)` in voxels. The grid of a field may be coarser than
the volume: its corner points lie on the volume's corners, and it is linear
between its points.
"""

import functools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.indexing import batch_offset, gather
from synthtf.ops.linear import apply_along_axes, upsample_matrix
from synthtf.xla import fused, in_buckets

Tensor = Any

# Matrices and coarse fields leave a rounding error on the positions: without this tolerance,
# border voxels of an exact rotation or an untouched volume would count as outside.
_TOLERANCE = 1e-4


@takes_arrays
def resample(
    volume: Tensor,
    transform: Tensor,
    interpolation: str = "linear",
    fill: float | None = None,
    shape: Sequence[int] | None = None,
) -> Tensor:
    """Move a volume: `out(x) = volume(transform(x))`.

    Args:
        volume: `(batch, *spatial, channels)`, of any dtype for nearest and
            floating for linear interpolation.
        transform: affine matrix or displacement field, in voxels.
        interpolation: "linear" or "nearest" (round half to even). Default "linear".
        fill: value where a position lies outside `[0, n - 1]` along any axis.
            Default: positions are clamped to the border.
        shape: spatial shape of the output. The two grids are aligned at their centres, to whole
            voxels. Default: the shape of the volume.

    Returns:
        Tensor of shape `(batch, *shape, channels)` and the dtype of the volume.

    Raises:
        ValueError: if the interpolation is unknown, or if the transform does not fit the axes of
            the volume.

    Example:
        >>> from keras import ops
        >>> volume = ops.array([[[1], [2], [3]]])
        >>> shift = ops.array([[[1.0, 1.0], [0.0, 1.0]]])
        >>> ops.convert_to_numpy(resample(volume, shift, "nearest", fill=0))[0, :, 0].tolist()
        [2, 3, 0]
    """
    if interpolation not in ("linear", "nearest"):
        raise ValueError(
            '`interpolation` must be "linear" or "nearest". '
            f"Received: interpolation={interpolation!r}"
        )
    source = tuple(ops.shape(volume))[1:-1]
    ndim = len(source)
    check_transform(transform, ndim)
    shape = tuple(shape or source)
    points = positions(transform, shape)
    points = [p + _shift(n, m) for p, n, m in zip(points, source, shape, strict=True)]
    dense = not _is_matrix(transform) and transform.shape[1:-1] == shape
    tolerance = 0.0 if dense else _TOLERANCE
    sampler = _nearest if interpolation == "nearest" else _linear
    return sampler(volume, points, source, fill, tolerance)


def check_transform(transform: Tensor, ndim: int) -> None:
    """Check that a transform is a matrix or a field for `ndim` spatial axes.

    Args:
        transform: affine matrix or displacement field.
        ndim: number of spatial axes.

    Raises:
        ValueError: if it is neither.

    Example:
        >>> from keras import ops
        >>> check_transform(ops.eye(4)[None], 3)
    """
    shape = tuple(transform.shape)
    matrix = len(shape) == 3 and shape[1:] == (ndim + 1, ndim + 1)
    field = len(shape) == ndim + 2 and shape[-1] == ndim
    if not (matrix or field):
        raise ValueError(
            f"`transform` must be a matrix (batch, {ndim + 1}, {ndim + 1}) or a field "
            f"(batch, *spatial, {ndim}) for a volume of {ndim} axes. "
            f"Received: transform with shape {shape}"
        )


def _is_matrix(transform: Tensor) -> bool:
    return len(transform.shape) == 3


def _shift(source: Any, target: int) -> Any:
    """Return the whole voxels between the origins of two grids aligned at their centres."""
    if isinstance(source, int):
        return float((source - target) // 2)
    return ops.cast((source - target) // 2, "float32")


def axis_grid(size: Any, axis: int, ndim: int) -> Tensor:
    """Return voxel numbers along one axis, shaped to broadcast over `(batch, *spatial)`.

    Args:
        size: number of voxels along the axis.
        axis: spatial axis.
        ndim: number of spatial axes.

    Returns:
        float32 tensor of `ndim + 1` axes, all of length 1 except the chosen one.

    Example:
        >>> tuple(axis_grid(5, 1, 3).shape)
        (1, 1, 5, 1)
    """
    shape = [1] * (ndim + 1)
    shape[axis + 1] = -1
    return ops.reshape(ops.arange(size, dtype="float32"), shape)


def positions(transform: Tensor, shape: Sequence[int]) -> list[Tensor]:
    """Return where a transform sends each voxel of a grid.

    Components stay apart since a trailing axis of two or three makes every
    later pass over them several times slower.

    Args:
        transform: affine matrix or displacement field.
        shape: spatial shape of the grid.

    Returns:
        One float32 tensor `(batch, *shape)` per axis, in voxels from the first voxel of the grid.

    Example:
        >>> from keras import ops
        >>> (position,) = positions(ops.array([[[1.0, 1.0], [0.0, 1.0]]]), (3,))
        >>> ops.convert_to_numpy(position)[0].tolist()
        [1.0, 2.0, 3.0]
    """
    ndim = len(shape)
    if _is_matrix(transform):
        return affine_positions(
            transform, [axis_grid(n, d, ndim) for d, n in enumerate(shape)], shape
        )
    grid = tuple(transform.shape[1:-1])
    parts = [transform[..., d] for d in range(ndim)]
    if grid == tuple(shape):
        return [
            axis_grid(n, d, ndim) + part
            for d, (n, part) in enumerate(zip(shape, parts, strict=True))
        ]
    # A coarse field plus its grid, upsampled, is the upsampled field plus the grid.
    step = [(n - 1) / max(m - 1, 1) for n, m in zip(shape, grid, strict=True)]
    parts = [axis_grid(m, d, ndim) * step[d] + parts[d] for d, m in enumerate(grid)]
    return [upsample(part, shape) for part in parts]


def affine_positions(
    matrix: Tensor, points: Sequence[Tensor], shape: Sequence[Any]
) -> list[Tensor]:
    """Apply affine matrices about the centre of a volume to points.

    Args:
        matrix: `(batch, ndim + 1, ndim + 1)`.
        points: `ndim` tensors that broadcast to `(batch, *grid)`, in voxels from the first voxel.
        shape: spatial shape of the volume.

    Returns:
        One tensor per axis, in voxels from the first voxel.

    Example:
        >>> from keras import ops
        >>> double = ops.array([[[2.0, 0.0], [0.0, 1.0]]])
        >>> (position,) = affine_positions(double, [ops.array([[0.0, 1.0]])], (3,))
        >>> ops.convert_to_numpy(position)[0].tolist()
        [-1.0, 1.0]
    """
    ndim = len(points)
    matrix = ops.cast(matrix, "float32")
    centre = [(ops.cast(n, "float32") - 1.0) / 2.0 for n in shape]
    expand = (-1,) + (1,) * ndim
    out = []
    for i in range(ndim):
        position = ops.reshape(matrix[:, i, ndim] + centre[i], expand)
        for j in range(ndim):
            position = position + ops.reshape(matrix[:, i, j], expand) * (points[j] - centre[j])
        out.append(position)
    return out


def upsample(field: Tensor, shape: Sequence[int]) -> Tensor:
    """Upsample one component of a field linearly; the corner points coincide.

    Args:
        field: `(batch, *grid)`.
        shape: spatial shape of the result.

    Returns:
        Tensor of shape `(batch, *shape)`.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(upsample(ops.array([[0.0, 1.0]]), (3,)))[0].tolist()
        [0.0, 0.5, 1.0]
    """
    grid = tuple(field.shape[1:])
    matrices = [
        None if n == m else upsample_matrix(ops.full((1,), m, "int32"), n, m)
        for n, m in zip(shape, grid, strict=True)
    ]
    return apply_along_axes(field[..., None], matrices)[..., 0]


def clamp(position: Tensor, size: Any) -> Tensor:
    """Clamp positions to `[0, size - 1]`.

    Args:
        position: tensor of any shape, in voxels.
        size: number of voxels along the axis.

    Returns:
        Tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(clamp(ops.array([-1.0, 5.0]), 4)).tolist()
        [0.0, 3.0]
    """
    return ops.clip(position, 0.0, ops.cast(size, "float32") - 1.0)


def _inside(points: Sequence[Tensor], shape: Sequence[Any], tolerance: float) -> Tensor:
    inside = None
    for position, size in zip(points, shape, strict=True):
        middle = (ops.cast(size, "float32") - 1.0) / 2.0
        here = ops.abs(position - middle) <= middle + tolerance
        inside = here if inside is None else ops.logical_and(inside, here)
    return inside


def _flat_index(index: Sequence[Tensor], shape: Sequence[Any], batch: Any) -> Tensor:
    """Return the row-major index into a flattened batch, from one float tensor per axis."""
    flat = ops.cast(index[0], "int32")
    for i, n in zip(index[1:], shape[1:], strict=True):
        flat = flat * n + ops.cast(i, "int32")
    return flat + batch_offset(batch, _prod(shape), len(shape))


def _prod(shape: Sequence[Any]) -> Any:
    out = 1
    for n in shape:
        out = out * n
    return out


def _nearest(
    volume: Tensor,
    points: list[Tensor],
    shape: Sequence[Any],
    fill: float | None,
    tolerance: float,
) -> Tensor:
    batch, channels = ops.shape(volume)[0], volume.shape[-1]

    def sample(values: Tensor, points: list[Tensor]) -> Tensor:
        rounded = [ops.round(clamp(p, n)) for p, n in zip(points, shape, strict=True)]
        out = gather(values, _flat_index(rounded, shape, batch))
        out = out[..., None] if channels == 1 else out
        return _filled(out, points, shape, fill, tolerance)

    flat = ops.reshape(volume, (-1,) if channels == 1 else (-1, channels))
    return fused(sample, in_buckets(flat, points), points)


def _linear(
    volume: Tensor,
    points: list[Tensor],
    shape: Sequence[Any],
    fill: float | None,
    tolerance: float,
) -> Tensor:
    batch, channels = ops.shape(volume)[0], volume.shape[-1]
    at = [clamp(p, n) for p, n in zip(points, shape, strict=True)]
    if channels > 4:
        out = sample_linear([ops.reshape(volume, (-1, channels))], at, shape, batch)[0]
    else:
        flat = [ops.reshape(volume[..., c], (-1,)) for c in range(channels)]
        out = ops.stack(sample_linear(flat, at, shape, batch), axis=-1)
    return _filled(out, points, shape, fill, tolerance)


def _filled(
    out: Tensor,
    points: Sequence[Tensor],
    shape: Sequence[Any],
    fill: float | None,
    tolerance: float,
) -> Tensor:
    """Put in what stands outside the volume."""
    if fill is None:
        return out
    inside = _inside(points, shape, tolerance)[..., None]
    return ops.where(inside, out, ops.cast(fill, out.dtype))


def sample_linear(
    flat: Sequence[Tensor],
    points: Sequence[Tensor],
    shape: Sequence[Any],
    batch: Any,
    apply: Callable[..., Any] = lambda function, *tensors: function(*tensors),
) -> list[Tensor]:
    """Interpolate linearly at positions inside the volume.

    Args:
        flat: flattened volumes, each `(batch · voxels,)` or `(batch · voxels, channels)`.
        points: one tensor `(batch, *out)` per axis, in voxels, within `[0, n - 1]`.
        shape: spatial shape of the volumes.
        batch: number of samples.
        apply: calls a function with the volumes, corners and weights; see `xla.fused`.

    Returns:
        One tensor `(batch, *out)` or `(batch, *out, channels)` per volume.

    Example:
        >>> from keras import ops
        >>> (values,) = sample_linear([ops.array([1.0, 3.0])], [ops.array([[0.5, 1.0]])], (2,), 1)
        >>> ops.convert_to_numpy(values).tolist()
        [[2.0, 3.0]]
    """
    # The lower corner stops at n - 2, so that the upper one needs no clamping.
    lower = [
        ops.minimum(ops.floor(p), ops.maximum(ops.cast(n, "float32") - 2.0, 0.0))
        for p, n in zip(points, shape, strict=True)
    ]
    upper_weight = [p - low for p, low in zip(points, lower, strict=True)]
    weights = [[1.0 - w, w] for w in upper_weight]

    def weighted(
        flat: list[Tensor], lower: list[Tensor], weights: list[list[Tensor]]
    ) -> list[list[Tensor]]:
        return list(_weighted_corners(flat, _flat_index(lower, shape, batch), weights, shape))

    corners = apply(weighted, list(flat), lower, weights)
    return [functools.reduce(operator.add, terms) for terms in zip(*corners, strict=True)]


def _weighted_corners(
    flat: Sequence[Tensor],
    base: Tensor,
    weights: Sequence[Sequence[Tensor]],
    shape: Sequence[Any],
) -> Iterator[list[Tensor]]:
    """Give, for each corner of a cell, the values of each volume times the corner's weight."""
    strides = [_prod(shape[d + 1 :]) for d in range(len(shape))]
    steps = [
        s * min(1, n - 1) if isinstance(n, int) else s * ops.minimum(1, n - 1)
        for s, n in zip(strides, shape, strict=True)
    ]
    for corner in range(2 ** len(shape)):
        upper = [corner >> d & 1 for d in range(len(shape))]
        offset = sum(step for step, up in zip(steps, upper, strict=True) if up)
        weight = math.prod((weights[d][up] for d, up in enumerate(upper)), start=1.0)
        expanded = weight[..., None]
        yield [
            gather(values, base + offset) * (weight if len(values.shape) == 1 else expanded)
            for values in flat
        ]
