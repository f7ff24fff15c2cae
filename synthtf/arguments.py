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
smallest and largest number, and the unit. `Annotated[TYPE, parser]` is for everything else:
`parser(value, name)` returns the value or raises a ValueError. `TYPE | None` allows None.
"""

import functools
import inspect
import math
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
        return self.parser(value, self.name)

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
        parser = functools.partial(_NUMBERS[hint], minimum=said.minimum, maximum=said.maximum)
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


def as_label_list(
    values: Any, name: str, distinct: bool = False, minimum: int = 0, empty: bool = False
) -> tuple[int, ...]:
    """Check a list of label values.

    Args:
        values: the labels.
        name: name of the parameter, for the message.
        distinct: refuse a label that occurs twice. Default False.
        minimum: smallest label allowed. Default 0.
        empty: allow an empty list. Default False.

    Returns:
        The labels as a tuple of integers.

    Raises:
        ValueError: if a label is not a whole number, is below `minimum` or is repeated where labels
            must be `distinct`, or if there is no label and the list must not be `empty`.
    """
    found = as_whole_numbers(values, name)
    repeated = distinct and len(set(found)) < len(found)
    if not (found or empty) or repeated or min(found, default=minimum) < minimum:
        kind = "distinct labels" if distinct else "labels"
        least = "" if empty else ", at least one"
        raise ValueError(
            f"`{name}` must be {kind}, whole numbers from {minimum}{least}. "
            f"Received: {name}={values!r}"
        )
    return found


def as_label_groups(values: Any, name: str) -> tuple[tuple[int, ...], ...]:
    """Check groups of labels; a single label is a group of its own.

    Raises:
        ValueError: if there is no group, a group is empty, or a label is negative or repeated.
    """
    entries = values if hasattr(values, "__len__") else ()
    groups = tuple(as_whole_numbers(v if hasattr(v, "__len__") else [v], name) for v in entries)
    labels = [label for group in groups for label in group]
    if not labels or not all(groups) or min(labels) < 0 or len(set(labels)) < len(labels):
        raise ValueError(
            f"`{name}` must be groups of labels, at least one, none empty, each label at least 0 "
            f"and in one group only. Received: {name}={values!r}"
        )
    return groups


def as_regions(values: Any, name: str) -> tuple[int | str, ...]:
    """Check a list of label values, or names of regions of a label table.

    Raises:
        ValueError: if there is none, or one is neither a name nor a whole number from 0.
    """
    entries = tuple(values) if hasattr(values, "__len__") and not isinstance(values, str) else ()
    numbers = [v for v in entries if not isinstance(v, str)]
    try:
        found = iter(as_label_list(numbers, name, empty=True))
    except ValueError:
        entries = ()
    if not entries or "" in entries:
        raise ValueError(
            f"`{name}` must be labels, whole numbers from 0, or names of regions, at least one. "
            f"Received: {name}={values!r}"
        )
    return tuple(v if isinstance(v, str) else next(found) for v in entries)


def as_region_groups(values: Any, name: str) -> tuple[str | tuple[int, ...], ...]:
    """Check groups of labels, each a label, a list of labels or the name of a region.

    Raises:
        ValueError: if there is none, or as `as_label_groups`.
    """
    entries = tuple(values) if hasattr(values, "__len__") and not isinstance(values, str) else ()
    groups = [v for v in entries if not isinstance(v, str)]
    if not entries or "" in entries:
        raise ValueError(
            f"`{name}` must be groups of labels or names of regions, at least one. "
            f"Received: {name}={values!r}"
        )
    numbers = iter(as_label_groups(groups, name) if groups else ())
    return tuple(v if isinstance(v, str) else next(numbers) for v in entries)


def as_sharing(values: Any, name: str) -> str | tuple[int, ...]:
    """Check what shares its intensities: one number per label, or a property of a label table.

    Raises:
        ValueError: if it is neither whole numbers nor "sides" or "tissues".
    """
    shares = ("sides", "tissues")
    return (
        as_choice(values, name, shares)
        if isinstance(values, str)
        else as_whole_numbers(values, name)
    )


def check_labels(layer: Any, *names: str) -> None:
    """Check, before a layer is used, that arguments are label values: a recipe finds others.

    Raises:
        ValueError: if one is None or holds the name of a region.
    """
    for name in names:
        value = getattr(layer, name)
        if value is None or isinstance(value, str) or any(isinstance(v, str) for v in value):
            raise ValueError(
                f"`{name}` must be label values where {type(layer).__name__} is used by itself; "
                f"only a recipe finds them in its label table. Received: {name}={value!r}"
            )


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
    if found != given:
        raise ValueError(f"`{name}` must be whole numbers. Received: {name}={values!r}")
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
    if not found or len(set(found)) < len(found) or not set(found) <= {0, 1, 2}:
        raise ValueError(
            f"`{name}` must be different spatial axes, 0, 1 or 2. Received: {name}={values!r}"
        )
    return tuple(map(int, found))


def check_one_per_label(layer: Any, *names: str) -> None:
    """Check that list arguments of a layer have one entry per label; None is allowed.

    Raises:
        ValueError: if the length of a list is not the number of labels.
    """
    for name in names:
        given = getattr(layer, name)
        if given is None or isinstance(given, str):
            continue
        if layer.labels is None:
            raise ValueError(f"`{name}` has one entry per label: give `labels`, too")
        if len(given) != len(layer.labels):
            raise ValueError(
                f"`{name}` must have one entry per label ({len(layer.labels)}). "
                f"Received: {name} with {len(given)} entries"
            )


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
ControlPoints = Annotated[WholeRange, Limits(2)]
NoisePoints = Annotated[WholeRange, Limits(1)]
Octaves = Annotated[WholeRange, Limits(1, 5)]
Spacing = Annotated[Range, as_spacing]
Shape = Annotated[tuple[int, ...], as_shape]
Axis = Annotated[int, as_axis]
Axes = Annotated[Sequence[int], as_axes]
Label = Annotated[int, functools.partial(as_whole, minimum=0)]
Labels = Annotated[Sequence[int], as_label_list]
DistinctLabels = Annotated[Sequence[int], functools.partial(as_label_list, distinct=True)]
Regions = Annotated[Sequence[int | str], as_regions]
RegionGroups = Annotated[Sequence[int | str | Sequence[int]], as_region_groups]
LabelGroups = Annotated[Sequence[int | Sequence[int]], as_label_groups]
Groups = Annotated[Sequence[int], as_whole_numbers]
Sharing = Annotated[Sequence[int] | str, as_sharing]
Seed = Annotated[int, as_whole]
