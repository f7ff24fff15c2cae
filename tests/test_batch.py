import re
from pathlib import Path

import pytest

from synthtf.batch import Outcome, _summary, for_each_file
from synthtf.messages import TRACEBACKS


def failing(*names):
    def action(path):
        if path.name in names:
            raise ValueError(f"{path}: cannot be read")

    return action


def test_failures_are_named_and_counted(capsys):
    paths = [Path(name) for name in "abc"]
    outcome = for_each_file("test", paths, failing("b"), skipped=2)
    assert outcome == Outcome(2, 2, (("b", "cannot be read"),))
    assert (outcome.status, Outcome(2).status) == (1, 0)
    first, last = capsys.readouterr().err.splitlines()
    assert first == "synthtf test: b: cannot be read"
    pattern = r"synthtf test: 2 done, 2 skipped, 1 failed in 0:0\d; failed: b"
    assert re.fullmatch(pattern, last)


@pytest.mark.parametrize(("count", "skipped"), [(1, 0), (3, None), (0, 1)])
def test_no_summary_of_one_file_or_where_none_is_asked_for(capsys, count, skipped):
    paths = [Path(str(number)) for number in range(count)]
    assert for_each_file("test", paths, failing(), skipped=skipped).done == count
    assert capsys.readouterr().err == ""


def test_an_interruption_is_passed_on_after_the_summary(capsys):
    def action(path):
        if path.name == "b":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for_each_file("test", [Path(name) for name in "abc"], action, skipped=0)
    assert capsys.readouterr().err.startswith("synthtf test: 1 done, 0 failed, 2 left in 0:0")


def test_the_summary_is_short_and_tells_hours():
    names = [str(number) for number in range(12)]
    text = _summary(0, 0, 0, names, 3 * 3600 + 62)
    assert text == f"0 done, 12 failed in 3:01:02; failed: {', '.join(names[:10])} and 2 more"
    assert _summary(1, 0, 0, [], 600) == "1 done, 0 failed in 10:00"


@pytest.mark.parametrize("shown", [False, True])
def test_tracebacks_are_shown_where_they_are_asked_for(capsys, shown):
    token = TRACEBACKS.set(shown)
    try:
        for_each_file("test", [Path("a")], failing("a"))
    finally:
        TRACEBACKS.reset(token)
    assert ("Traceback" in capsys.readouterr().err) == shown
