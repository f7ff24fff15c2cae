import argparse
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pytest

from synthtf.arguments import Limits, as_whole_numbers
from synthtf.cli.flags import add_flags, find_runs, options_from, refuse_foreign
from synthtf.options import Options, option, options
from synthtf.ranges import Range, as_spacing
from synthtf.usage import UsageError


@options
class Size(Options):
    """A size."""

    width: Annotated[int, Limits(1)] = option(8, "of it")
    most: Annotated[int, Limits(1)] | None = option(64, "at most")


@options
class First(Options):
    """Some options."""

    name = "first"
    size: Size = option(factory=Size, text="the size")
    kind: Literal["a", "b"] = option("a", "which")
    sort: Literal["c"] | None = option("c", "which other")
    sided: bool = option(True, "two sides")
    aligned: bool = option(False, "in line")
    source: bool | Any = option(True, "from there", metavar="RUN")
    spacing: Annotated[Range, as_spacing] | None = option(None, "mm", metavar="MM")
    sizes: Annotated[Sequence[int], as_whole_numbers] | None = option(None, "of each axis")
    hidden: int = option(3, "in Python only", flag=False)


@options
class Second(Options):
    """Other options."""

    name = "second"
    size: Size = option(factory=lambda: Size(4), text="the size")
    rate: float = option(0.5, "100% of it")


def parse(words, *classes):
    parser = argparse.ArgumentParser()
    add_flags(parser, classes, [cls.name for cls in classes])
    return parser.parse_args(words.split()), parser


@pytest.mark.parametrize(
    "words, changes",
    [
        ("", {}),
        ("--width 5 --most none", {"size": Size(5, None)}),
        ("--kind b --sort none", {"kind": "b", "sort": None}),
        ("--no-sided --aligned", {"sided": False, "aligned": True}),
        ("--sided --no-aligned", {}),
        ("--source there", {"source": "there"}),
        ("--no-source", {"source": False}),
        ("--spacing 2.5 --sizes 4 6", {"spacing": 2.5, "sizes": (4, 6)}),
    ],
)
def test_flags_make_the_options_that_python_makes(words, changes):
    assert options_from(parse(words, First)[0], First) == First(**changes)


def test_flags_that_were_not_given_are_not_there():
    assert vars(parse("--kind a", First, Second)[0]) == {"kind": "a"}


def test_help_says_the_defaults_of_each():
    text = " ".join(parse("", First, Second)[1].format_help().split())
    assert "of it (default: 8 for first, 4 for second)" in text
    assert "at most (default: 64)" in text
    assert "100% of it (default: 0.5)" in text
    assert "two sides (default: yes)" in text
    assert "--hidden" not in text and "--no-source for none" in text


@pytest.mark.parametrize("words", ["--width x", "--kind c", "--source a --no-source", "--sizes"])
def test_wrong_words_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        parse(words, First)
    assert words.split()[0] in capsys.readouterr().err


def test_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match="`width` must lie in"):
        options_from(parse("--width 0", First)[0], First)


def test_flags_of_another_class_are_refused():
    args, _ = parse("--rate 0.2 --width 3", First, Second)
    refuse_foreign(args, Second, [First, Second])
    with pytest.raises(UsageError, match="--rate is not an option of the task first"):
        refuse_foreign(args, First, [First, Second])


def test_runs_are_found():
    args, _ = parse("--source heads-2mm", First)
    find_runs(args, First)
    assert args.source.name == "heads-2mm" and args.source.is_dir()
    args, _ = parse("--source gone", First)
    with pytest.raises(UsageError, match="--source: gone is neither a folder"):
        find_runs(args, First)
