"""What may be given for an argument, said once, in the signature of a constructor.

    def __init__(
        self,
        drop: Annotated[Range, Limits(0, 1)] = (0, 0.5),
        num_coils: Annotated[int, Limits(1, 32)] = 4,
        form: Literal["linear", "exponential"] = "linear",
        spacing: Spacing = 1.0,
        **kwargs,
    ):

The type, here `Range`, `int` or `Literal`, says what kind of value is meant. `Limits` gives the
smallest and largest number, and the unit; only whole numbers may be beyond a million.
`Annotated[TYPE, parser]` is for everything else: `parser(value, name)` returns the value or raises
a ValueError. `TYPE | None` allows None.
"""

import functools
import inspect
import math
import reprlib
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from synthtf.ranges import (
    Range,
    WholeRange,
    as_number,
    as_range,
    as_spacing,
    as_whole,
    as_whole_range,
)

Parser = Callable[[Any, str], Any]

LARGEST_WHOLE = 2**31 - 1
"""What int32 holds: labels, keys and seeds."""

# Of a number without a limit of its own. What is larger is a slip, and does not fit float32.
_LARGEST = 1e6
_LONGEST, _MOST_VOXELS = 4096, 2**30


@dataclass(frozen=True)
class Limits:
    """Limits and unit of a number or a range.

    Attributes:
        minimum: smallest value allowed.
        maximum: largest value allowed.
        unit: "mm", "degrees", "ms" or "voxels"; empty for a ratio.
    """

    minimum: float = -math.inf
    maximum: float = math.inf
    unit: str = ""


@dataclass(frozen=True)
class Limited:
    """A number or a range with its limits and its unit.

    Attributes:
        name: name of the argument.
        low: smallest value that is drawn, or None if the argument was not given.
        high: largest value that is drawn, or None if the argument was not given. Equal to `low` for
            a number.
        unit: the same as in `Limits`.
        minimum: smallest value allowed.
        maximum: largest value allowed.
        default: `(low, high)`, a number, or None.
    """

    name: str
    low: float | None
    high: float | None
    unit: str
    minimum: float
    maximum: float
    default: Any


@dataclass(frozen=True)
class Argument:
    """An argument of a function.

    Attributes:
        name: name of the argument.
        default: default as written in the signature, or `inspect.Parameter.empty`.
        parser: takes what the user wrote and the name, and returns the value to store or raises a
            ValueError. None if the annotation says nothing.
        limits: limits of a number or a range of numbers, else None.
        optional: whether None is allowed.
    """

    name: str
    default: Any
    parser: Parser | None
    limits: Limits | None
    optional: bool

    def parse(self, value: Any) -> Any:
        """Return the value to store.

        Raises:
            ValueError: if the value is not what the annotation says.
        """
        if self.parser is None or (value is None and self.optional):
            return value
        try:
            return self.parser(value, self.name)
        except (TypeError, ValueError, OverflowError, AttributeError, RecursionError) as error:
            message = str(error)
            if f"`{self.name}`" in message and isinstance(error, ValueError):
                raise
            raise ValueError(
                f"`{self.name}` is not what it must be, {message}. "
                f"Received: {self.name}={reprlib.repr(value)}"
            ) from None

    def limited(self, value: Any) -> Limited:
        """Describe a value; a missing default counts as None."""
        default, value = (
            None if x is inspect.Parameter.empty else self.parse(x) for x in (self.default, value)
        )
        low, high = value if isinstance(value, tuple) else (value, value)
        limits = self.limits or Limits()
        return Limited(self.name, low, high, limits.unit, limits.minimum, limits.maximum, default)


def arguments_of(function: Callable) -> dict[str, Argument]:
    """Describe the named arguments of a function, or of a constructor, from its signature.

    Args:
        function: the function; `self` is left out.

    Returns:
        Each argument by its name, in the order of the signature.

    Example:
        >>> def blur(std: Annotated[Range, Limits(0, unit="mm")] = (0, 2)): ...
        >>> argument = arguments_of(blur)["std"]
        >>> argument.limits.unit, argument.parse(1)
        ('mm', (1.0, 1.0))
    """
    hints = typing.get_type_hints(function, include_extras=True)
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    return {
        name: Argument(name, parameter.default, *_read(hints.get(name, Any)))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in kinds and name != "self"
    }


def _read(hint: Any) -> tuple[Parser | None, Limits | None, bool]:
    """Return the parser and the limits of an annotation, and whether it allows None."""
    members = typing.get_args(hint)
    optional = type(None) in members
    if optional:
        hint = typing.Union[tuple(m for m in members if m is not type(None))]  # noqa: UP007
    said = None
    if typing.get_origin(hint) is Annotated:
        hint, said = typing.get_args(hint)[:2]
    if isinstance(said, Limits):
        if hint not in _NUMBERS:
            raise TypeError(f"Limits are for numbers and ranges. Received: Limits of {hint}")
        minimum, maximum = said.minimum, said.maximum
        if hint in (Range, float):
            minimum, maximum = max(minimum, -_LARGEST), min(maximum, _LARGEST)
        parser = functools.partial(_NUMBERS[hint], minimum=minimum, maximum=maximum)
    elif typing.get_origin(hint) is Literal:
        parser = functools.partial(as_choice, choices=typing.get_args(hint))
    elif hint is bool:
        parser = as_switch
    else:
        parser = said
    return parser, said if isinstance(said, Limits) else None, optional


def as_choice(value: Any, name: str, choices: Sequence) -> Any:
    """Check that a value is one of several strings.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"`{name}` must be one of {tuple(choices)}. Received: {name}={value!r}")
    return value


def as_switch(value: Any, name: str) -> bool:
    """Check that a value is True or False.

    Raises:
        ValueError: if it is neither.
    """
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return value


def as_whole_numbers(values: Any, name: str) -> tuple[int, ...]:
    """Check a list of whole numbers.

    Raises:
        ValueError: if it is not a list, or a number is not whole.
    """
    try:
        given = tuple(values)
        found = tuple(map(int, given))
    except (TypeError, ValueError, OverflowError):
        given, found = (), None
    if found != given or not all(abs(value) <= LARGEST_WHOLE for value in found):
        raise ValueError(f"`{name}` must be whole numbers below 2^31. Received: {name}={values!r}")
    return found


def as_ranges(
    values: Any, name: str, minimum: float = -math.inf, maximum: float = math.inf
) -> tuple[tuple[float, float], ...]:
    """Check a list of ranges.

    Raises:
        ValueError: if it is not a list, or if `as_range` refuses an entry.
    """
    if not hasattr(values, "__len__") or isinstance(values, str):
        raise ValueError(f"`{name}` must be a list of ranges. Received: {name}={values!r}")
    return tuple(as_range(value, name, minimum, maximum) for value in values)


def as_shape(value: Any, name: str) -> tuple[int, ...]:
    """Check a spatial shape.

    Raises:
        ValueError: if it is not one whole number above 0 per axis.
    """
    found = as_whole_numbers(value, name)
    if not found or min(found) < 1:
        raise ValueError(f"`{name}` must be above 0 for each axis. Received: {name}={value!r}")
    if max(found) > _LONGEST or math.prod(found) > _MOST_VOXELS:
        raise ValueError(
            f"`{name}` must be at most {_LONGEST} for each axis, and at most 2^30 voxels in all. "
            f"Received: {name}={value!r}"
        )
    return found


def as_axis(value: Any, name: str) -> int:
    """Check a spatial axis.

    Raises:
        ValueError: if it is not 0, 1 or 2.
    """
    if isinstance(value, bool) or value not in (0, 1, 2):
        raise ValueError(f"`{name}` must be a spatial axis, 0, 1 or 2. Received: {name}={value!r}")
    return int(value)


def as_axes(values: Any, name: str) -> tuple[int, ...]:
    """Check a list of spatial axes.

    Raises:
        ValueError: if it is empty, or an axis is repeated or not 0, 1 or 2.
    """
    found = tuple(values) if hasattr(values, "__len__") else ()
    known = all(value in (0, 1, 2) for value in found)
    if not found or not known or len(set(found)) < len(found):
        raise ValueError(
            f"`{name}` must be different spatial axes, 0, 1 or 2. Received: {name}={values!r}"
        )
    return tuple(map(int, found))


_NUMBERS: Mapping[Any, Callable] = {
    Range: as_range,
    WholeRange: as_whole_range,
    float: as_number,
    int: as_whole,
}

Probability = Annotated[float, Limits(0, 1)]
Proportion = Annotated[Range, Limits(0, 1)]
Millimetres = Annotated[Range, Limits(0, unit="mm")]
PositiveMillimetres = Annotated[Range, Limits(1e-3, unit="mm")]
Offset = Annotated[Range, Limits(unit="mm")]
ControlPoints = Annotated[WholeRange, Limits(2, 128)]
NoisePoints = Annotated[WholeRange, Limits(1, 128)]
Octaves = Annotated[WholeRange, Limits(1, 5)]
Spacing = Annotated[Range, as_spacing]
Shape = Annotated[tuple[int, ...], as_shape]
Axis = Annotated[int, as_axis]
Axes = Annotated[Sequence[int], as_axes]
Seed = Annotated[int, functools.partial(as_whole, minimum=0, maximum=LARGEST_WHOLE)]
