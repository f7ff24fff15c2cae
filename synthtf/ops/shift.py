"""Moving volumes along one axis, which may differ per sample."""

import math
from typing import Any

from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.indexing import batch_offset, gather
from synthtf.ops.linear import apply_along_axes
from synthtf.ops.resampling import axis_grid

Tensor = Any


def select_axis(axis: Tensor, ndim: int) -> Tensor:
    """Return one at the axis of each sample, else zero.

    Args:
        axis: int tensor `(batch,)`, in `[0, ndim - 1]`.
        ndim: number of axes.

    Returns:
        float32 tensor of shape `(batch, ndim)`.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(select_axis(ops.array([2, 0]), 3)).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return ops.cast(ops.equal(axis[:, None], ops.arange(ndim, dtype=axis.dtype)), "float32")


@takes_arrays
def shift_along_axis(
    volume: Tensor, displacement: Tensor, axis: Tensor, interpolation: str = "linear"
) -> Tensor:
    """Move a volume along one axis: `out(x) = volume(x + d(x) e)`, clamped to the border.

    Args:
        volume: `(batch, *spatial, channels)`, of any dtype for nearest and
            floating for linear interpolation.
        displacement: `(batch, *spatial)`, in voxels.
        axis: int tensor `(batch,)`, spatial axis of each sample.
        interpolation: "linear" or "nearest" (round half to even). Default "linear".

    Returns:
        Tensor of the shape and dtype of the volume.

    Example:
        >>> from keras import ops
        >>> volume = ops.array([[[1.0], [2.0], [5.0]]])
        >>> moved = shift_along_axis(volume, ops.full((1, 3), 0.5), ops.array([0]))
        >>> ops.convert_to_numpy(moved)[0, :, 0].tolist()
        [1.5, 3.5, 5.0]
    """
    *shape, channels = volume.shape[1:]
    here = select_axis(axis, len(shape))
    pick = (-1,) + (1,) * len(shape)

    def along(values: list[float]) -> Tensor:
        """One number per sample, of its axis."""
        chosen = ops.sum(here * ops.convert_to_tensor([values], dtype="float32"), axis=1)
        return ops.reshape(chosen, pick)

    grid = sum(
        ops.reshape(here[:, d], pick) * axis_grid(n, d, len(shape)) for d, n in enumerate(shape)
    )
    last = along([n - 1.0 for n in shape])
    stride = ops.cast(along([math.prod(shape[d + 1 :]) for d in range(len(shape))]), "int32")
    position = ops.clip(grid + displacement, 0.0, last)
    voxel = ops.reshape(ops.arange(math.prod(shape), dtype="int32"), (1, *shape))
    voxel = voxel + batch_offset(ops.shape(volume)[0], math.prod(shape), len(shape))
    flat = ops.reshape(volume, (-1,) if channels == 1 else (-1, channels))

    def take(index: Tensor) -> Tensor:
        values = gather(flat, index)
        return values[..., None] if channels == 1 else values

    if interpolation == "nearest":
        return take(voxel + ops.cast(ops.round(position) - grid, "int32") * stride)
    # The lower neighbour stops one before the last, so that the upper one needs no clamping.
    lower = ops.minimum(ops.floor(position), ops.maximum(last - 1.0, 0.0))
    index = voxel + ops.cast(lower - grid, "int32") * stride
    upper = index + stride * ops.cast(ops.minimum(last, 1.0), "int32")
    weight = (position - lower)[..., None]
    return (1.0 - weight) * take(index) + weight * take(upper)


@takes_arrays
def translate(x: Tensor, shift: Tensor, reach: list[int]) -> Tensor:
    """Move each sample as a whole, linearly between voxels; zero comes in from outside.

    Args:
        x: `(batch, *spatial, channels)`.
        shift: `(batch, ndim)`, in voxels; `out(i) = x(i - shift)`.
        reach: per axis, an upper bound on the size of the shift, in voxels.

    Returns:
        Tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> moved = translate(ops.array([[[1.0], [2.0], [3.0]]]), ops.array([[1.0]]), [1])
        >>> ops.convert_to_numpy(moved)[0, :, 0].tolist()
        [0.0, 1.0, 2.0]
    """
    matrices = []
    for d, size in enumerate(x.shape[1:-1]):
        voxel = ops.arange(size, dtype="float32")
        source = voxel[None, :, None] - shift[:, d, None, None]
        matrices.append(ops.relu(1.0 - ops.abs(source - voxel)))
    return apply_along_axes(x, matrices, [n + 1 for n in reach])
