"""Ranges: what a user writes for a random parameter, and its one parser."""

import math
from collections.abc import Sequence

Range = float | Sequence[float]


def as_range(
    value: Range, name: str, minimum: float = -math.inf, maximum: float = math.inf
) -> tuple[float, float]:
    """Parse a range.

    Args:
        value: `(low, high)`, drawn uniformly, or a scalar, which is a constant.
        name: of the parameter, for messages.
        minimum: smallest value allowed.
        maximum: largest value allowed.

    Returns:
        `(low, high)` as floats.

    Raises:
        ValueError: if the value is not one or two numbers, is not finite, is
            reversed or leaves `[minimum, maximum]`.

    Example:
    >>> as_range(2, "std", minimum=0)
    (2.0, 2.0)
    """
    message = f"`{name}` must be a number or (low, high). Received: {name}={value!r}"
    if isinstance(value, str | bytes | bool):
        raise ValueError(message)
    try:
        bounds = tuple(float(bound) for bound in value) if hasattr(value, "__len__") else None
        low, high = bounds if bounds is not None else (float(value), float(value))
    except (TypeError, ValueError, OverflowError):
        raise ValueError(message) from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"`{name}` must be finite. Received: {name}={value!r}")
    if low > high:
        raise ValueError(
            f"`{name}` must be (low, high) with low <= high. Received: {name}={value!r}"
        )
    if low < minimum or high > maximum:
        raise ValueError(
            f"`{name}` must lie in [{minimum:g}, {maximum:g}]. Received: {name}={value!r}"
        )
    return low, high


def as_whole_range(
    value: Range, name: str, minimum: int, maximum: float = math.inf
) -> tuple[int, int]:
    """Parse a range of whole numbers, both ends of which are drawn.

    Raises:
        ValueError: if it is no range, not whole, or out of bounds.

    Example:
    >>> as_whole_range((2, 6), "num_shots", 1)
    (2, 6)
    """
    low, high = as_range(value, name, minimum, maximum)
    if low != int(low) or high != int(high):
        raise ValueError(f"`{name}` must be whole numbers. Received: {name}={value!r}")
    return int(low), int(high)


def as_spacing(value: Range, name: str = "spacing") -> float | tuple[float, ...]:
    """Check a voxel size.

    Args:
        value: mm per voxel, a scalar or one per axis.
        name: of the parameter, for messages.

    Returns:
        A float, or a tuple of floats, as given.

    Raises:
        ValueError: if any value is not a positive number.
    """
    values = tuple(value) if hasattr(value, "__len__") else (value,)
    try:
        values = tuple(float(v) for v in values)
    except (TypeError, ValueError, OverflowError):
        values = ()
    if not values or not all(math.isfinite(v) and v > 0 for v in values):
        raise ValueError(f"`{name}` must be positive, in mm per voxel. Received: {name}={value!r}")
    return values if hasattr(value, "__len__") else values[0]


def per_axis(spacing: float | Sequence[float], ndim: int, name: str = "spacing") -> tuple:
    """Give one value per axis from a scalar or a sequence of `ndim`.

    Raises:
        ValueError: if the length of a sequence is not `ndim`.
    """
    if not hasattr(spacing, "__len__"):
        return (float(spacing),) * ndim
    if len(spacing) != ndim:
        raise ValueError(
            f"`{name}` must be a number or one per axis ({ndim}). Received: {name}={spacing!r}"
        )
    return tuple(float(value) for value in spacing)
