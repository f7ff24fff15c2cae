"""The script that damages files: what it calls good and bad, and a short run of it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scripts_as_modules import SCRIPTS, load_script


@pytest.fixture(scope="module")
def fuzz():
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield load_script("fuzz")
    finally:
        sys.path.remove(str(SCRIPTS))


@pytest.mark.parametrize(
    ("answer", "name", "way", "expected"),
    [
        ({"refused": "01-v.nii is truncated"}, "v.nii", "flip", "refused"),
        ({"refused": "truncated"}, "v.nii", "flip", "unclear"),
        ({"refused": "01-v.nii\nis truncated"}, "v.nii", "flip", "unclear"),
        ({"digest": "a", "notes": []}, "v.nii", "flip", "same"),
        ({"digest": "b", "notes": ["odd"]}, "v.nii.gz", "flip", "warned"),
        ({"digest": "b", "notes": []}, "v.nii.gz", "flip", "silent"),
        ({"digest": "b", "notes": []}, "v.nii.gz", "inside", "other"),
        ({"digest": "b", "notes": []}, "v.nii", "flip", "other"),
        ({"digest": "b", "notes": []}, "v.nii", "truncate", "silent"),
        ({"traceback": "KeyError: 1"}, "v.nii", "flip", "traceback"),
        ({"hang": "hang"}, "v.nii", "flip", "hang"),
    ],
)
def test_what_is_good_and_bad(fuzz, answer, name, way, expected):
    assert fuzz.judge(answer, Path(f"01-{name}"), way, "a")[0] == expected


def test_damage_follows_from_the_seed(fuzz):
    data = bytes(range(256)) * 4
    for name in ("v.nii", "labels.tsv"):
        made = [fuzz.damage(data, name, [data], np.random.default_rng([0, n])) for n in range(30)]
        again = [fuzz.damage(data, name, [data], np.random.default_rng([0, n])) for n in range(30)]
        assert made == again and len({content for _, content in made}) > 20


def test_a_process_that_hangs_or_grows_is_ended(fuzz, monkeypatch, tmp_path):
    script = tmp_path / "worker.py"
    monkeypatch.setattr(fuzz, "__file__", str(script))
    for code, how in (
        ("import time; time.sleep(99)", "hang"),
        ("x = b'1' * 300_000_000; import time; time.sleep(99)", "memory"),
        ("raise SystemExit", "crash"),
    ):
        script.write_text(f"import sys; sys.stdin.readline(); {code}")
        worker = fuzz.Worker(tmp_path, 5 if how == "memory" else 1.5, 0.2)
        assert how in worker.ask(tmp_path / "x"), how
        assert worker.process is None


def test_a_short_run():
    words = [sys.executable, SCRIPTS / "fuzz.py", "--count", "22", "--seed", "7"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (total,) = [line for line in done.stdout.splitlines() if line.startswith("all ")]
    assert sum(int(n) for n in total.split()[1:] if n != "-") == 22
