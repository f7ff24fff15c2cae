import re
import sys

import pytest
from scripts_as_modules import load_script


@pytest.fixture(scope="module")
def benchmark():
    return load_script("benchmark")


def printing(text):
    return [sys.executable, "-c", f"print({text!r})"]


def test_seconds_are_the_lines_that_are_numbers(benchmark):
    text = 'loading 12 labels\n0.5\n\n2e-1\nnan\n[{"seconds": 3}]\n1.5 s\n'
    assert benchmark.seconds_in(text) == [0.5, 0.2, 3.0]


def test_peers_are_set_beside_the_first(benchmark):
    commands = {"ours": printing("0.5\n0.25\n0.25"), "theirs": printing("ready\n4\n2\n1.5")}
    ours, theirs = benchmark.compare(commands, rounds=2)
    assert (ours["median (s)"], ours["minimum (s)"], ours["ratio"]) == (0.25, 0.25, 1)
    assert (theirs["median (s)"], theirs["minimum (s)"], theirs["ratio"]) == (2, 1.5, 8)
    assert theirs["peak (GB)"] > 0


@pytest.mark.parametrize(
    ("command", "note"),
    [
        ([sys.executable, "-c", "raise SystemExit('no TorchIO')"], "failed: no TorchIO"),
        (printing("done"), "failed: printed no seconds"),
        (["/nowhere/python"], "failed: .*No such file"),
    ],
)
def test_a_peer_that_fails_is_a_note(benchmark, command, note):
    rows = benchmark.compare({"ours": printing("1"), "theirs": command}, rounds=1)
    assert rows[0]["ratio"] == 1
    assert re.match(note, rows[1]["note"])


def test_peers_get_the_label_map(benchmark, monkeypatch):
    commands = {}

    def compare(given):
        commands.update(given)
        return [{"case": name} for name in given]

    monkeypatch.setattr(benchmark, "compare", compare)
    case = benchmark.Case("seconds", 8, repeats=3)
    rows = benchmark.run_peers(case, "/env/python", ["other=make --from {labels} -n {repeats}"])
    assert [row["case"] for row in rows] == [
        "synthtf, 8^3 x 1",
        "TorchIO, 8^3 x 1",
        "other, 8^3 x 1",
    ]
    assert commands["TorchIO"][0] == "/env/python"
    assert commands["other"][2].endswith("labels.nii.gz") and commands["other"][-1] == "3"
    (_, left_out) = benchmark.run_peers(case, None, [])
    assert left_out["note"].startswith("left out")
    with pytest.raises(SystemExit, match="must be NAME=COMMAND"):
        benchmark.run_peers(case, None, ["make"])
