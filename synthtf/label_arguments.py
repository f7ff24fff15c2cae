"""Arguments that are labels: what may be given for them, as in `synthtf.arguments`."""

import functools
from collections.abc import Sequence
from typing import Annotated, Any

from synthtf.arguments import LARGEST_WHOLE, as_choice, as_whole_numbers
from synthtf.ranges import as_whole


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


def as_label_groups(values: Any, name: str, overlap: bool = False) -> tuple[tuple[int, ...], ...]:
    """Check groups of labels; a single label is a group of its own.

    Args:
        values: the groups.
        name: name of the parameter, for the message.
        overlap: allow a label in several groups. Default False.

    Raises:
        ValueError: if there is no group, a group is empty, or a label is negative or repeated.
    """
    entries = values if hasattr(values, "__len__") else ()
    groups = tuple(as_whole_numbers(v if hasattr(v, "__len__") else [v], name) for v in entries)
    labels = [label for group in groups for label in group]
    repeated = not overlap and len(set(labels)) < len(labels)
    if not labels or not all(groups) or min(labels) < 0 or repeated:
        only = "" if overlap else " and in one group only"
        raise ValueError(
            f"`{name}` must be groups of labels, at least one, none empty, each label at least 0"
            f"{only}. Received: {name}={values!r}"
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


def as_region_groups(
    values: Any, name: str, overlap: bool = False
) -> tuple[str | tuple[int, ...], ...]:
    """Check groups of labels, each a label, a list of labels or the name of a region.

    Args:
        values: the groups.
        name: name of the parameter, for the message.
        overlap: allow a label in several groups. Default False.

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
    numbers = iter(as_label_groups(groups, name, overlap) if groups else ())
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


Label = Annotated[int, functools.partial(as_whole, minimum=0, maximum=LARGEST_WHOLE)]
Labels = Annotated[Sequence[int], as_label_list]
DistinctLabels = Annotated[Sequence[int], functools.partial(as_label_list, distinct=True)]
Regions = Annotated[Sequence[int | str], as_regions]
RegionGroups = Annotated[Sequence[int | str | Sequence[int]], as_region_groups]
OverlappingRegions = Annotated[
    Sequence[int | str | Sequence[int]], functools.partial(as_region_groups, overlap=True)
]
LabelGroups = Annotated[Sequence[int | Sequence[int]], as_label_groups]
Groups = Annotated[Sequence[int], as_whole_numbers]
Sharing = Annotated[Sequence[int] | str, as_sharing]
