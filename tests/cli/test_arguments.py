import argparse

import pytest

from synthtf.cli import arguments
from synthtf.usage import UsageError


def parse(*words):
    parser = argparse.ArgumentParser()
    arguments.add_input_output(parser, what="scans")
    arguments.add_threads(parser)
    return parser.parse_args([*words, "-o", "out"])


@pytest.mark.parametrize("words", [("a.nii",), ("-i", "a.nii"), ("--input", "a.nii")])
def test_the_input_is_positional_or_an_option(words):
    assert arguments.chosen_input(parse(*words)) == "a.nii"


def test_the_input_is_given_once():
    with pytest.raises(UsageError, match=r"Received 2: a.nii, b.nii"):
        arguments.chosen_input(parse("a.nii", "-i", "b.nii"))
    with pytest.raises(UsageError, match="Received 0"):
        arguments.chosen_input(parse())


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many"])
def test_threads_are_a_positive_integer(text, capsys):
    with pytest.raises(SystemExit):
        parse("a.nii", f"--threads={text}")
    assert f"expected an integer of at least 1, received '{text}'" in capsys.readouterr().err
