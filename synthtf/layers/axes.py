"""The random axis along which layers for encoding and slices act."""

from keras import ops

from synthtf import random
from synthtf.layers.base import Tensor


def axes_of(axes: tuple[int, ...] | None, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Return the axes to choose from for an input shape with the batch axis.

    Raises:
        ValueError: if the inputs lack one.
    """
    ndim = len(shape) - 2
    if axes is not None and max(axes) >= ndim:
        raise ValueError(
            f"`axes` must be below {ndim}, the number of spatial axes of the input. "
            f"Received: axes={axes}"
        )
    return tuple(range(ndim)) if axes is None else axes


def draw_axis(key: Tensor, axes: tuple[int, ...] | None, shape: tuple[int | None, ...]) -> Tensor:
    """Draw one of the axes per sample, all equally likely, int32 `(batch,)`.

    Raises:
        ValueError: as in `axes_of`.
    """
    axes = axes_of(axes, shape)
    choice = random.integers(random.fold_in(key, "axis"), (), 0, len(axes) - 1)
    return ops.take(ops.convert_to_tensor(axes, "int32"), choice)


def is_axis(draw: Tensor, axis: int) -> Tensor:
    """Return which samples drew an axis, bool `(batch,)`."""
    return ops.equal(draw, axis)


def as_line(x: Tensor, axis: int, ndim: int) -> Tensor:
    """Lay `(batch, size)` along a spatial axis, such as `(batch, 1, size, 1)`, without channels."""
    return ops.reshape(x, (-1, *(x.shape[1] if d == axis else 1 for d in range(ndim))))
