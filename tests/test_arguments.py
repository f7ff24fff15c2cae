"""What a signature says of its arguments."""

from collections.abc import Sequence
from typing import Annotated, Literal

import pytest

from synthtf import arguments, label_arguments
from synthtf.arguments import Limits, arguments_of
from synthtf.ranges import Range, WholeRange


def described(
    drop: Annotated[Range, Limits(0, 1)] = (0, 0.5),
    num: Annotated[WholeRange, Limits(1)] = 3,
    rim: Annotated[float, Limits(0, unit="mm")] | None = None,
    levels: Annotated[int, Limits(1)] = 2,
    form: Literal["linear", "cubic"] = "linear",
    keep: bool = True,
    shape: arguments.Shape | None = None,
    axes: arguments.Axes | None = None,
    labels: label_arguments.Labels = (0,),
    groups: label_arguments.LabelGroups = (1, (2, 3)),
    silent=5,
    **kwargs,
):
    """A function with an argument of each kind."""


FOUND = arguments_of(described)


def test_only_named_arguments_are_described():
    assert "kwargs" not in FOUND and len(FOUND) == 11
    assert FOUND["silent"].parser is None and FOUND["silent"].parse("x") == "x"
    assert FOUND["rim"].limits == Limits(0, unit="mm") and FOUND["form"].limits is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("drop", 1, (1.0, 1.0)),
        ("num", [1, 2], (1, 2)),
        ("rim", None, None),
        ("rim", 2, 2.0),
        ("levels", 4.0, 4),
        ("shape", [3, 4], (3, 4)),
        ("axes", [2, 0], (2, 0)),
        ("labels", range(3), (0, 1, 2)),
        ("groups", [1, [2, 3]], ((1,), (2, 3))),
    ],
)
def test_values_are_normalised(name, value, expected):
    found = FOUND[name].parse(value)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("drop", 2, r"`drop` must lie in \[0, 1\]"),
        ("drop", None, "`drop` must be a number or"),
        ("num", 0, "`num` must lie in"),
        ("rim", (1, 2), "`rim` must be one number"),
        ("levels", (2, 5), "`levels` must be one number"),
        ("form", "square", r"`form` must be one of \('linear', 'cubic'\)"),
        ("form", ["linear"], "`form` must be one of"),
        ("keep", 1, "`keep` must be True or False"),
        ("shape", (3, 0), "`shape` must be above 0"),
        ("shape", 3, "`shape` must be whole numbers"),
        ("axes", (0, 0), "`axes` must be different spatial axes"),
        ("labels", (1.5,), "`labels` must be whole numbers"),
        ("labels", (), "`labels` must be labels, whole numbers from 0, at least one"),
        ("groups", [1, [1]], "in one group only"),
        ("groups", 3, "at least one"),
    ],
)
def test_errors_say_what_was_expected_and_received(name, value, message):
    with pytest.raises(ValueError, match=rf"{message}.*Received: {name}="):
        FOUND[name].parse(value)


def test_limited_values():
    drop = FOUND["drop"].limited((0.1, 0.2))
    assert (drop.low, drop.high, drop.default, drop.maximum) == (0.1, 0.2, (0, 0.5), 1)
    rim = FOUND["rim"].limited(None)
    assert (rim.low, rim.high, rim.unit, rim.default) == (None, None, "mm", None)
    assert FOUND["levels"].limited(4).high == 4


def test_limits_are_for_numbers():
    def wrong(names: Annotated[Sequence[str], Limits(0)]):
        """Limits of names."""

    with pytest.raises(TypeError, match="Limits are for numbers and ranges"):
        arguments_of(wrong)
