"""The axis that layers about slices work along."""

from collections.abc import Sequence

from keras import ops

from synthtf import random
from synthtf.layers.base import Tensor


def as_axes(axes: Sequence[int] | None) -> tuple[int, ...] | None:
    """Check the axes that slices may lie across.

    Raises:
        ValueError: if there is none or one is not 0, 1 or 2.
    """
    if axes is not None and not (len(tuple(axes)) and set(axes) <= {0, 1, 2}):
        raise ValueError(f"`axes` must be spatial axes, 0, 1 or 2. Received: axes={axes!r}")
    return None if axes is None else tuple(int(axis) for axis in axes)


def axes_of(axes: tuple[int, ...] | None, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Give the axes that slices may lie across in inputs of a shape, batch axis included.

    Raises:
        ValueError: if the inputs lack one.
    """
    ndim = len(shape) - 2
    if axes is not None and max(axes) >= ndim:
        raise ValueError(f"`axes` must be spatial. Received: axes={axes}, input of shape {shape}")
    return tuple(range(ndim)) if axes is None else axes


def draw_axis(key: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Draw one of some axes per sample, int32 `(batch,)`."""
    choice = random.integers(random.fold_in(key, "axis"), (), 0, len(axes) - 1)
    return ops.take(ops.convert_to_tensor(axes, "int32"), choice)


def is_axis(draw: Tensor, axis: int) -> Tensor:
    """Say which samples drew an axis, bool `(batch,)`."""
    return ops.equal(draw, axis)


def as_line(x: Tensor, axis: int, ndim: int) -> Tensor:
    """Lay `(batch, size)` along a spatial axis: `(batch, 1, size, 1)`, say, without channels."""
    return ops.reshape(x, (-1, *(x.shape[1] if d == axis else 1 for d in range(ndim))))
