"""Numbers and ranges: what a user writes for a parameter, and its one parser."""

import math
from collections.abc import Sequence
from typing import Any

Range = float | Sequence[float]
WholeRange = int | Sequence[int]


def as_range(
    value: Range, name: str, minimum: float = -math.inf, maximum: float = math.inf
) -> tuple[float, float]:
    """Parse a range.

    Args:
        value: `(low, high)`, drawn uniformly, or a scalar, which is a constant.
        name: name of the parameter, for the message.
        minimum: smallest value allowed. Default: no limit.
        maximum: largest value allowed. Default: no limit.

    Returns:
        `(low, high)` as floats.

    Raises:
        ValueError: if the value is not one or two finite numbers, is reversed or leaves
            `[minimum, maximum]`.

    Example:
        >>> as_range(2, "std", minimum=0)
        (2.0, 2.0)
    """
    bounds = tuple(value) if _is_sequence(value) else (value, value)
    low, high = _as_floats(bounds, 2, f"`{name}` must be a number or (low, high)", name, value)
    if low > high:
        raise ValueError(
            f"`{name}` must be (low, high) with low <= high. Received: {name}={value!r}"
        )
    _check_limits(low, high, name, value, minimum, maximum)
    return low, high


def as_number(
    value: float, name: str, minimum: float = -math.inf, maximum: float = math.inf
) -> float:
    """Parse one number; a range is refused.

    Args:
        value: the number.
        name: name of the parameter, for the message.
        minimum: smallest value allowed. Default: no limit.
        maximum: largest value allowed. Default: no limit.

    Returns:
        The number as a float.

    Raises:
        ValueError: if the value is not one finite number in `[minimum, maximum]`.

    Example:
        >>> as_number(1, "probability", 0, 1)
        1.0
    """
    expected = f"`{name}` must be one number"
    number = _as_floats(() if _is_sequence(value) else (value,), 1, expected, name, value)[0]
    _check_limits(number, number, name, value, minimum, maximum)
    return number


def as_whole_range(
    value: WholeRange, name: str, minimum: float = -math.inf, maximum: float = math.inf
) -> tuple[int, int]:
    """Parse a range of whole numbers, drawn with both ends included.

    Args:
        value: `(low, high)` or a whole number, which is a constant.
        name: name of the parameter, for the message.
        minimum: smallest value allowed. Default: no limit.
        maximum: largest value allowed. Default: no limit.

    Returns:
        `(low, high)` as integers.

    Raises:
        ValueError: if the value is not a range, not whole, or out of bounds.

    Example:
        >>> as_whole_range((2, 6), "num_shots", 1)
        (2, 6)
    """
    low, high = as_range(value, name, minimum, maximum)
    if not (low.is_integer() and high.is_integer()):
        raise ValueError(f"`{name}` must be whole numbers. Received: {name}={value!r}")
    return int(low), int(high)


def as_whole(value: int, name: str, minimum: float = -math.inf, maximum: float = math.inf) -> int:
    """Parse one whole number; a range is refused.

    Args:
        value: the number.
        name: name of the parameter, for the message.
        minimum: smallest value allowed. Default: no limit.
        maximum: largest value allowed. Default: no limit.

    Returns:
        The number as an integer.

    Raises:
        ValueError: if the value is not one whole number in `[minimum, maximum]`.

    Example:
        >>> as_whole(5, "num_levels", 1)
        5
    """
    if not as_number(value, name, minimum, maximum).is_integer():
        raise ValueError(f"`{name}` must be a whole number. Received: {name}={value!r}")
    return int(value)


def as_spacing(value: Range, name: str = "spacing") -> float | tuple[float, ...]:
    """Check a voxel size.

    Args:
        value: mm per voxel, a scalar or one per axis.
        name: name of the parameter, for the message.

    Returns:
        A float for a scalar, else a tuple of floats.

    Raises:
        ValueError: if any value is not a positive number.

    Example:
        >>> as_spacing((1, 1, 2))
        (1.0, 1.0, 2.0)
    """
    values = tuple(value) if hasattr(value, "__len__") else (value,)
    try:
        values = tuple(float(v) for v in values)
    except (TypeError, ValueError, OverflowError):
        values = ()
    if not values or len(values) > 3 or not all(1e-3 <= v <= 1e3 for v in values):
        raise ValueError(
            f"`{name}` must be positive, in mm per voxel: in [0.001, 1000], one number or one per "
            f"axis. Received: {name}={value!r}"
        )
    return values if hasattr(value, "__len__") else values[0]


def per_axis(spacing: float | Sequence[float], ndim: int, name: str = "spacing") -> tuple:
    """Return one value per axis from a scalar or a sequence of `ndim`.

    Args:
        spacing: a scalar, or one value per axis.
        ndim: number of axes.
        name: name of the parameter, for the message.

    Returns:
        A tuple of `ndim` floats.

    Raises:
        ValueError: if the length of a sequence is not `ndim`.

    Example:
        >>> per_axis(2, 3)
        (2.0, 2.0, 2.0)
    """
    if not hasattr(spacing, "__len__"):
        return (float(spacing),) * ndim
    if len(spacing) != ndim:
        raise ValueError(
            f"`{name}` must be a number or one per axis ({ndim}). Received: {name}={spacing!r}"
        )
    return tuple(float(value) for value in spacing)


def _is_sequence(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes)


def _as_floats(values: tuple, num: int, expected: str, name: str, value: Any) -> tuple[float, ...]:
    try:
        numbers = () if isinstance(value, str | bytes | bool) else tuple(map(float, values))
    except (TypeError, ValueError, OverflowError):
        numbers = ()
    if len(numbers) != num:
        raise ValueError(f"{expected}. Received: {name}={value!r}")
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"`{name}` must be finite. Received: {name}={value!r}")
    return numbers


def _check_limits(
    low: float, high: float, name: str, value: Any, minimum: float, maximum: float
) -> None:
    if low < minimum or high > maximum:
        raise ValueError(
            f"`{name}` must lie in [{_plain(minimum)}, {_plain(maximum)}]. "
            f"Received: {name}={value!r}"
        )


def _plain(limit: float) -> str:
    """Write a limit without an exponent where it is whole."""
    return str(int(limit)) if math.isfinite(limit) and limit == int(limit) else f"{limit:g}"
