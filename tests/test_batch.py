import re
import types
from pathlib import Path

import pytest

from synthtf.batch import _summary, for_each_file, process_cohort


def failing(*names):
    def action(path):
        if path.name in names:
            raise ValueError(f"{path}: cannot be read")

    return action


def test_failures_are_named_and_counted(capsys):
    paths = [Path(name) for name in "abc"]
    assert for_each_file("test", paths, failing("b"), skipped=2) == 1
    first, last = capsys.readouterr().err.splitlines()
    assert first == "synthtf test: b: cannot be read"
    pattern = r"synthtf test: 2 done, 2 skipped, 1 failed in 0:0\d; failed: b"
    assert re.fullmatch(pattern, last)


@pytest.mark.parametrize(("count", "skipped"), [(1, 0), (3, None), (0, 1)])
def test_no_summary_of_one_file_or_where_none_is_asked_for(capsys, count, skipped):
    paths = [Path(str(number)) for number in range(count)]
    assert for_each_file("test", paths, failing(), skipped=skipped) == 0
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


def cohort(*missing):
    jobs = [types.SimpleNamespace(scan=Path(name)) for name in "abc"]
    unfinished = [job for job in jobs if job.scan.name in missing]
    return types.SimpleNamespace(jobs=jobs, unfinished=lambda table, model: unfinished)


def process(cohort, skip, names=()):
    """Exit status, and the scans that were processed."""
    args = types.SimpleNamespace(command="test", skip_existing=skip, debug=False)
    seen = []

    def prepare():
        seen.append("model")
        return lambda job: (seen.append(job.scan.name), failing(*names)(job.scan))

    return process_cohort(args, cohort, Path("run"), prepare), seen


def test_only_what_is_unfinished_is_processed_where_that_is_asked_for(capsys):
    assert process(cohort("b"), skip=False) == (0, ["model", "a", "b", "c"])
    assert process(cohort("b"), skip=True) == (0, ["model", "b"])
    assert "1 done, 2 skipped, 0 failed" in capsys.readouterr().err
    assert process(cohort("b"), skip=True, names="b") == (1, ["model", "b"])


def test_no_model_is_loaded_for_nothing(capsys):
    assert process(cohort(), skip=True) == (0, [])
    assert "0 done, 3 skipped, 0 failed" in capsys.readouterr().err
