import json
import re
import sys

import numpy as np
import pytest
from scripts_as_modules import SCRIPTS, load_script


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield load_script("benchmark")
    finally:
        sys.path.remove(str(SCRIPTS))


@pytest.fixture(scope="module")
def turns(benchmark):
    return sys.modules["peers.turns"]


def printing(text):
    return [sys.executable, "-c", f"print({text!r})"]


def test_seconds_are_the_lines_that_are_numbers(turns):
    text = 'loading 12 labels\n0.5\n\n2e-1\nnan\n[{"seconds": 3}]\n1.5 s\n'
    assert turns.seconds_in(text) == [0.5, 0.2, 3.0]


def test_peers_are_set_beside_the_first(benchmark):
    commands = {"ours": printing("0.5\n0.25\n0.25"), "theirs": printing("ready\n4\n2\n1.5")}
    ours, theirs = benchmark.compare(commands, rounds=2)
    assert (ours["median (s)"], ours["minimum (s)"], ours["ratio"]) == (0.25, 0.25, 1)
    assert (theirs["median (s)"], theirs["minimum (s)"], theirs["ratio"]) == (2, 1.5, 8)
    assert theirs["peak (GB)"] > 0


def test_a_ratio_is_the_median_of_those_of_the_rounds(turns, monkeypatch):
    rounds = iter([[1.0], [2.0], [10.0], [30.0], [1.0], [2.5]])
    monkeypatch.setattr(turns, "run_peer", lambda command: (next(rounds), 1.0, ""))
    assert turns.compare({"ours": [], "theirs": []}, rounds=3)[1]["ratio"] == 2.5


@pytest.mark.parametrize(
    ("command", "note"),
    [
        ([sys.executable, "-c", "raise SystemExit('no memory')"], "failed: no memory"),
        (printing("done"), "failed: printed no seconds"),
        (["/nowhere/python"], "failed: .*No such file"),
        (
            [
                sys.executable,
                str(SCRIPTS / "peers" / "generators.py"),
                "cornucopia",
                "x",
                "1",
                "y",
                "wall",
            ],
            "left out: cornucopia is not there: pip install cornucopia",
        ),
    ],
)
def test_a_peer_that_fails_is_a_note(benchmark, command, note):
    rows = benchmark.compare({"ours": printing("1"), "theirs": command}, rounds=1)
    assert rows[0]["ratio"] == 1
    assert re.match(note, rows[1]["note"])


def test_peers_get_the_label_map_and_give_a_picture(benchmark, monkeypatch, tmp_path):
    commands = {}

    def compare(given, rounds):
        commands.update(given)
        ours = json.loads(given["synthtf"][-1])["picture"]
        for path in (ours, given["MONAI"][-2]):
            np.save(path, np.eye(8))
        return [{"case": name} for name in given]

    monkeypatch.setattr(benchmark, "compare", compare)
    case = benchmark.Case("seconds", 8, repeats=3, clock="processor")
    words = ["--environment", "/env/python", "--libraries", "torchio", "monai"]
    words += ["--peer", "other=make --from {labels} -n {repeats}"]
    sheet = tmp_path / "sheet.png"
    args = benchmark.make_parser().parse_args([*words, "--picture", str(sheet)])
    rows = benchmark.run_peers(case, args)
    names = ["synthtf", "TorchIO", "MONAI", "other"]
    assert [row["case"] for row in rows] == [f"{name}, 8^3 x 1" for name in names]
    assert commands["TorchIO"][0] == "/env/python" and commands["TorchIO"][2] == "torchio"
    assert commands["MONAI"][-1] == "processor"
    assert commands["other"][2].endswith("labels.nii.gz") and commands["other"][-1] == "3"
    assert sheet.stat().st_size > 1000


def test_peers_are_named(turns):
    with pytest.raises(SystemExit, match="must be NAME=COMMAND"):
        turns.peer_commands(None, [], ["make"])
    with pytest.raises(SystemExit, match="pip installed torchio monai cornucopia"):
        turns.peer_commands(None, ["torchio"], [])
