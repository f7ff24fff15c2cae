"""What layers that act on the k-space lines of one axis share."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from synthtf import random
from synthtf.ranges import Range, as_range

Tensor = Any


def as_axes(axes: Sequence[int] | None) -> tuple[int, ...] | None:
    """Check the spatial axes that may be the encoding axis; None stands for all.

    Raises:
        ValueError: if there is none, one occurs twice, or one is not 0, 1 or 2.
    """
    if axes is None:
        return None
    found = tuple(axes) if hasattr(axes, "__len__") else ()
    if not found or len(set(found)) < len(found) or not set(found) <= {0, 1, 2}:
        raise ValueError(f"`axes` must be different spatial axes, 0, 1 or 2. Received: {axes!r}")
    return tuple(int(axis) for axis in found)


def as_whole_range(value: Range, name: str, minimum: int) -> tuple[int, int]:
    """Parse a range of whole numbers, both ends of which are drawn.

    Raises:
        ValueError: if it is no range, not whole, or below the minimum.
    """
    low, high = as_range(value, name, minimum)
    if low != int(low) or high != int(high):
        raise ValueError(f"`{name}` must be whole numbers. Received: {name}={value!r}")
    return int(low), int(high)


def draw_axis(key: Tensor, axes: tuple[int, ...] | None, ndim: int) -> Tensor:
    """Draw the encoding axis of each sample.

    Args:
        key: int32 tensor `(batch, 2)`.
        axes: to choose from, all alike. None: all.
        ndim: number of spatial axes.

    Returns:
        int32 tensor `(batch,)`.

    Raises:
        ValueError: if an axis does not exist.
    """
    axes = tuple(range(ndim)) if axes is None else axes
    if max(axes) >= ndim:
        raise ValueError(
            f"`axes` must be below {ndim}, the number of spatial axes of the input. "
            f"Received: axes={axes}"
        )
    index = random.integers(random.fold_in(key, "axis"), (), 0, len(axes) - 1)
    return ops.take(ops.convert_to_tensor(axes, dtype="int32"), index, axis=0)
