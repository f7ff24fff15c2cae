"""What the blocks of a recipe have in common."""

import dataclasses
from typing import Any

from synthtf.ranges import Range, as_range

Names = tuple[str, ...]
Numbers = tuple[int, ...]
Values = tuple[float, ...]

_BOUNDS = {
    "scaling": (1e-3, float("inf")),
    "strength": (0, float("inf")),
    "control_points": (1, float("inf")),
    "proportion": (0, 1),
    "drop": (0, 1),
    "std": (0, float("inf")),
    "gamma": (1e-3, float("inf")),
    "factor": (1, float("inf")),
}
_KINDS = {
    str: "a name",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Names: "a list of names",
    Numbers: "a list of whole numbers",
    Values: "a list of numbers",
}
_LISTS = {Names: str, Numbers: int, Values: float}


class Block:
    """Normalises ranges to tuples and checks them when a block is made.

    A block has the arguments of its layer that are ranges, names or switches; what depends on
    labels and voxel size comes from the label table and the recipe function. A layer refuses
    what its block lets pass.
    """

    def __post_init__(self) -> None:
        """Normalise and check."""
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            name = f"{type(self).__name__.lower()}.{item.name}"
            if value is None and item.default is None:
                continue
            if item.type in (Range, Range | None):
                bounds = _BOUNDS.get(item.name, (-float("inf"), float("inf")))
                object.__setattr__(self, item.name, as_range(value, name, *bounds))
            elif item.type in (*_LISTS, Numbers | None):
                kind = item.type if item.type in _LISTS else Numbers
                object.__setattr__(self, item.name, _as_tuple(value, kind, name))
            elif not _is(value, item.type):
                raise ValueError(f"`{name}` must be {_KINDS[item.type]}. Received: {value!r}")
            elif item.name.endswith("probability"):
                as_range(value, name, 0, 1)

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Give the ranges by name, without those that are left open."""
        names = [f.name for f in dataclasses.fields(self) if f.type in (Range, Range | None)]
        return {n: getattr(self, n) for n in names if getattr(self, n) is not None}


def _is(value: Any, kind: type) -> bool:
    """Whether JSON's value is of a kind; true and false are no numbers."""
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _as_tuple(value: Any, kind: Any, name: str) -> tuple:
    entry = _LISTS[kind]
    if not isinstance(value, (list, tuple)) or not all(_is(v, entry) for v in value):
        raise ValueError(f"`{name}` must be {_KINDS[kind]}. Received: {value!r}")
    return tuple(value)
