"""The axis that layers about encoding and slices work along."""

from keras import ops

from synthtf import random
from synthtf.layers.base import Tensor


def axes_of(axes: tuple[int, ...] | None, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Give the axes to choose from in inputs of a shape, batch axis included.

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
    """Draw one of the axes per sample, all alike, int32 `(batch,)`.

    Raises:
        ValueError: as `axes_of`.
    """
    axes = axes_of(axes, shape)
    choice = random.integers(random.fold_in(key, "axis"), (), 0, len(axes) - 1)
    return ops.take(ops.convert_to_tensor(axes, "int32"), choice)


def is_axis(draw: Tensor, axis: int) -> Tensor:
    """Say which samples drew an axis, bool `(batch,)`."""
    return ops.equal(draw, axis)


def as_line(x: Tensor, axis: int, ndim: int) -> Tensor:
    """Lay `(batch, size)` along a spatial axis: `(batch, 1, size, 1)`, say, without channels."""
    return ops.reshape(x, (-1, *(x.shape[1] if d == axis else 1 for d in range(ndim))))
