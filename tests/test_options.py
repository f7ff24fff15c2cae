import inspect
import json
from collections.abc import Sequence
from typing import Annotated, Literal

import pytest

from synthtf.arguments import Limits, as_whole_numbers
from synthtf.options import Options, option, options, options_of, signature_of


@options
class Inner(Options):
    """Size of a part."""

    width: Annotated[int, Limits(1)] = option(3, "of the part")


@options
class Other(Options):
    """Size of another part."""

    height: Annotated[float, Limits(0)] = option(1.0, "of that")


@options
class Outer(Options):
    """A whole.

    Reference: none.
    """

    given: int = option(text="must be given")
    mode: Literal["fast", "slow"] = option("fast", "how it is done")
    inner: Inner = option(factory=Inner, text="the part")
    part: Inner | Other | None = option(None, "either part")
    sizes: Annotated[Sequence[int], as_whole_numbers] | None = option(None, "of each axis")


def test_values_are_checked_and_stored_as_parsed():
    assert Outer(1, sizes=[2, 3]).sizes == (2, 3)
    for change, message in (
        ({"mode": "never"}, "`mode` must be one of"),
        ({"inner": Other()}, "`inner` must be a Inner. Received"),
        ({"inner": None}, "`inner` must be a Inner"),
        ({"part": 3}, "`part` must be a Inner or Other"),
        ({"sizes": [1.5]}, "`sizes` must be whole numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            Outer(1, **change)
    with pytest.raises(ValueError, match="`width` must lie in"):
        Inner(0)
    with pytest.raises(AttributeError):
        Inner().width = 4


@pytest.mark.parametrize("part", [None, Inner(5), Other(2.5)])
def test_json_gives_the_same_options(part):
    made = Outer(1, inner=Inner(7), part=part, sizes=(1, 2))
    assert Outer.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    with pytest.raises(ValueError, match="unknown Outer option 'more'; the options are"):
        Outer.from_dict({"given": 1, "more": 2})


def test_what_json_cannot_hold_is_left_out():
    @options
    class Any(Options):
        """Anything."""

        thing: object = option(None, "of any kind")

    assert Any(object()).to_dict() == {"thing": None}


def test_the_docstring_lists_the_options_before_its_last_sections():
    lines = Outer.__doc__.splitlines()
    assert lines[:4] == ["A whole.", "", "Attributes:", "    given: must be given."]
    assert lines[-2:] == ["", "Reference: none."]
    assert Inner.__doc__.splitlines()[-1] == "    width: of the part."


def test_a_function_has_them_in_its_signature():
    def make(shape, **options):
        return Outer(**options)

    signature = signature_of(make, Outer)
    assert list(signature.parameters) == ["shape", *options_of(Outer)]
    assert signature.parameters["inner"].default == Inner()
    assert signature.parameters["given"].default is inspect.Parameter.empty
    assert signature.parameters["mode"].kind is inspect.Parameter.KEYWORD_ONLY
