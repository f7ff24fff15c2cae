"""Paths that cannot be right are refused before anything is loaded (rows 1, 2 and 7)."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.volume_writer import write_volume

MISSING = """
segment no.nii.gz -o o.nii.gz
segment no -o o
segment no.txt -o o
segment link.nii.gz -o o.nii.gz
segment a.nii.gz -o o.nii.gz --model no
segment a.nii.gz -o o.nii.gz --vol no/v.csv
strip no.nii.gz -o o.nii.gz
strip a.nii.gz -o o.nii.gz --model no
register no.nii.gz a.nii.gz -o o.nii.gz
register a.nii.gz no.nii.gz -o o.nii.gz
register a.nii.gz b.nii.gz -o o.nii.gz --model no
register a.nii.gz b.nii.gz -o o.nii.gz --affine no
register a.nii.gz b.nii.gz -o o.nii.gz --init no.lta
register a.nii.gz b.nii.gz -o o.nii.gz --labels no.nii.gz b.nii.gz
register a.nii.gz b.nii.gz -o o.nii.gz --labels a.nii.gz no.nii.gz
register --pairs no.tsv -o o
apply no.lta a.nii.gz o.nii.gz
apply t.tfm no.nii.gz o.nii.gz
apply t.tfm link.nii.gz o.nii.gz
apply t.tfm a.nii.gz o.nii.gz --like no.nii.gz
apply t.tfm no.csv o.csv
evaluate no.nii.gz a.nii.gz
evaluate a.nii.gz no.nii.gz
evaluate a.nii.gz a.nii.gz --labels no.tsv
evaluate a.nii.gz a.nii.gz --csv no/x.csv
report no.nii.gz a.nii.gz -o o.html
report a.nii.gz no.nii.gz -o o.html
report a.nii.gz b.nii.gz -o o.html --labels no.tsv
check no
check a.nii.gz --labels no.tsv
check a.nii.gz --recipe no.json
check a.nii.gz --csv no/o.csv
synthesize no -o o
synthesize a.nii.gz -o o --recipe no.json
synthesize a.nii.gz -o o --labels no.tsv
train segmentation no -o o
train segmentation a.nii.gz -o o --labels no.tsv
train segmentation a.nii.gz -o o --recipe no.json
export no -o o
info no
convert no.h5 -o o.keras
convert no.pt -o o.keras
convert x.h5 -o no/o.keras
labels build no.nii.gz a.nii.gz -o o.nii.gz
labels build a.nii.gz no.nii.gz -o o.nii.gz
labels build a.nii.gz a.nii.gz -o o.nii.gz --table no.tsv
labels enrich no.nii.gz a.nii.gz -o o.nii.gz
labels enrich a.nii.gz link.nii.gz -o o.nii.gz
labels enrich a.nii.gz a.nii.gz -o o.nii.gz --table no.tsv
"""
KINDS = """
segment d -o o.nii.gz
segment a.nii.gz -o d
segment a.nii.gz -o o
segment a.nii.gz -o o.nii.gz --vol d
segment a.nii.gz -o o.nii.gz --model a.nii.gz
strip d -o o.nii.gz
strip d -m o.nii.gz
strip a.nii.gz -m d
strip a.nii.gz -d d
register d a.nii.gz -o o.nii.gz
register d d -t o.lta
register d d --figure o.png
register a.nii.gz b.nii.gz -o d
register a.nii.gz b.nii.gz -t d
register a.nii.gz b.nii.gz -O d
register a.nii.gz b.nii.gz -T d
register a.nii.gz b.nii.gz --figure d
register a.nii.gz b.nii.gz -o o.nii.gz --init d
register a.nii.gz b.nii.gz -o o.nii.gz --labels d d
register a.nii.gz b.nii.gz -o o.nii.gz --affine a.nii.gz
apply t.tfm d o.nii.gz
apply t.tfm a.nii.gz d
apply d a.nii.gz o.nii.gz
apply t.tfm a.nii.gz o.nii.gz --like d
evaluate d a.nii.gz
evaluate a.nii.gz d
evaluate a.nii.gz b.nii.gz --csv d
evaluate a.nii.gz b.nii.gz --labels d
report d a.nii.gz -o o.html
report a.nii.gz d -o o.html
report d d -o o.png
report a.nii.gz b.nii.gz -o d
report a.nii.gz b.nii.gz -o o
check a.nii.gz --csv d
check a.nii.gz --labels d
check a.nii.gz --recipe d
synthesize d -o a.nii.gz
synthesize d -o o.nii.gz
synthesize d -o o --labels d
train segmentation d -o a.nii.gz
train segmentation d -o o.nii.gz
train segmentation d -o o.keras
train segmentation d -o o --recipe d
export a.nii.gz -o o
info a.nii.gz
convert d -o o.keras
convert x.h5 -o d
labels build d a.nii.gz -o o.nii.gz
labels build a.nii.gz d -o o.nii.gz
labels build a.nii.gz b.nii.gz -o d
labels build a.nii.gz b.nii.gz -o o
labels enrich a.nii.gz b.nii.gz -o o.nii.gz --table d
"""
LINES = [line for line in (MISSING + KINDS).splitlines() if line]

RUN = """
import contextlib, io, json, shlex, sys
from synthtf.cli.main import main
for line in json.loads(sys.stdin.read()):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = main(shlex.split(line))
    print(json.dumps([line, status, said.getvalue(), "tensorflow" in sys.modules]))
    if "tensorflow" in sys.modules:
        break
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = np.zeros((8, 8, 8), "uint8")
    labels[2:6, 2:6, 2:6] = 1
    (tmp_path / "d").mkdir()
    for name in ("a.nii.gz", "b.nii.gz", "d/a.nii.gz", "d/b.nii.gz"):
        write_volume(tmp_path / name, labels, affine=np.eye(4))
    write_volume(tmp_path / "four.nii.gz", np.stack([labels] * 3, -1), affine=np.eye(4))
    (tmp_path / "t.tfm").write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: IdentityTransform_double_3_3\n"
        "Parameters:\nFixedParameters:\n"
    )
    (tmp_path / "x.h5").write_bytes(b"x")
    (tmp_path / "link.nii.gz").symlink_to("nowhere.nii.gz")
    return tmp_path


def test_refused_in_one_line_before_tensorflow_is_loaded(folder):
    before = sorted(folder.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(LINES),
        capture_output=True,
        text=True,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [row for row in found if row[1] != 2 or row[2].count("\n") != 1 or row[3]]
    assert not wrong and [row[0] for row in found] == LINES
    for line, _, said, _ in found:
        assert said.startswith(f"synthtf {line.split()[0]}: ")
        word = next((w for w in shlex.split(line) if w.startswith(("no", "link"))), "")
        assert word.split("/")[0] in said
    assert sorted(folder.rglob("*")) == before


FRAMES = """
evaluate four.nii.gz a.nii.gz
evaluate a.nii.gz four.nii.gz
report four.nii.gz a.nii.gz -o o.html
report a.nii.gz four.nii.gz -o o.html
labels build four.nii.gz a.nii.gz -o o.nii.gz
labels build a.nii.gz four.nii.gz -o o.nii.gz
labels enrich four.nii.gz a.nii.gz -o o.nii.gz
labels enrich a.nii.gz four.nii.gz -o o.nii.gz
apply four.nii.gz a.nii.gz o.nii.gz
"""


@pytest.mark.parametrize("line", FRAMES.split("\n")[1:-1])
def test_several_frames_are_refused_by_name(folder, capsys, line):
    assert main(shlex.split(line)) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert "four.nii.gz" in said and ("extract a frame" in said or "a scan" in said)
    assert not list(folder.glob("o.*"))


@pytest.mark.parametrize(
    "options", ["", "--like four.nii.gz", "-m nearest", "--inverse --like a.nii.gz"]
)
def test_apply_moves_each_frame(folder, options):
    assert main(shlex.split(f"apply t.tfm four.nii.gz o.nii.gz {options}")) == 0
    from synthtf.data.volumes import read_volume

    moved, whole = (read_volume(name, frames=True) for name in ("o.nii.gz", "four.nii.gz"))
    np.testing.assert_array_equal(moved.data, whole.data)
