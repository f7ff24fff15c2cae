"""The scripts in docs/cluster.md: what a shell, the commands and Ray make of them."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import nibabel
import numpy as np
import pytest

from synthtf.cli.main import build_parser
from synthtf.data import LabelTable
from synthtf.data.volume_writer import write_volume
from synthtf.inference import segment_cohort
from synthtf.layers import RandomIntensity
from synthtf.runs import Run
from synthtf.synthesis import Recipe

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "cluster.md").read_text()
SCRIPTS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
(RAY,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
SMALLER = {"ray.init()": "ray.init(num_cpus=2)", '"heads-2mm"': '"run"', "// 16": "// 2"}
SMALLER |= {"size=8": "size=2", '    """Segment some': '    os.chdir(HERE)\n    """'}


@pytest.mark.parametrize("script", SCRIPTS, ids=["train", "produce", "segment"])
def test_scripts_are_shell_and_their_commands_are_known(script, tmp_path):
    assert subprocess.run(["bash", "-n", "-c", script]).returncode == 0
    (command,) = re.findall(r"^synthtf (.*)$", script.replace("\\\n", " "), re.MULTILINE)
    build_parser().parse_args(shlex.split(command))


def test_jobs_share_a_list(tmp_path):
    names = [f"in/{n}.nii.gz" for n in range(70)]
    (tmp_path / "scans.txt").write_text("".join(f"{name}\n" for name in names))
    shell = "synthtf() { :; }\n" + SCRIPTS[2]
    for task in range(32):
        done = subprocess.run(
            ["bash", "-e", "-c", shell],
            cwd=tmp_path,
            env={"SLURM_ARRAY_TASK_ID": str(task), "PATH": "/usr/bin:/bin"},
        )
        assert done.returncode == 0
    parts = sorted((tmp_path / "parts").glob("*.txt"))
    found = [line for part in parts for line in part.read_text().splitlines()]
    outputs = sorted(name.replace("in/", "labels/") for name in names)
    assert sorted(line for line in found if line.startswith("in/")) == sorted(names)
    assert sorted(line for line in found if line.startswith("labels/")) == outputs


@pytest.fixture
def cohort(tmp_path):
    """Scans, one damaged, and a network that tells bright from dark."""
    (tmp_path / "scans").mkdir()
    for number in range(5):
        image = np.zeros((16, 16, 16), "float32")
        image[2 + number : 12, 3:13, 3:12] = 100
        path = tmp_path / "scans" / f"{number}.nii.gz"
        write_volume(path, image, affine=np.diag([2, 2, 2, 1]))
    path.write_bytes(path.read_bytes()[:-9])
    inputs = keras.Input((None, None, None, 1))
    last = keras.layers.Dense(2, activation="softmax")
    network = keras.Model(inputs, last(inputs))
    last.set_weights([np.array([[0, 40]], "float32"), np.array([0, -20], "float32")])
    facts = {"task": "segmentation", "shape": [16] * 3, "spacing": [2.0] * 3, "multiple": 4}
    facts["output_labels"] = [0, 2]
    table, recipe = LabelTable.from_labels([0, 2]), Recipe([RandomIntensity()])
    Run(None, table, recipe, facts, network).save(tmp_path / "run")
    return tmp_path


def labels_of(folder):
    files = sorted(folder.glob("*.nii.gz"))
    return {path.name: np.asarray(nibabel.load(path).dataobj).tobytes() for path in files}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray")
def test_two_workers_of_ray_give_what_one_process_does(cohort):
    """They go on where a script was stopped that had done two scans."""
    code = f"import os\nHERE = {str(cohort)!r}\n{RAY}"
    for old, new in SMALLER.items():
        assert old in code
        code = code.replace(old, new)
    one = segment_cohort(cohort / "scans", cohort / "one", cohort / "run")
    assert "4.nii.gz" in {Path(name).name for name, _ in one.failures}
    for number in range(2):
        name = f"{number}.nii.gz"
        segment_cohort(cohort / "scans" / name, cohort / "labels" / name, cohort / "run")
    before = {path: path.stat().st_mtime_ns for path in (cohort / "labels").glob("*.nii.gz")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cohort,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "4.nii.gz" in done.stdout
    found, expected = (labels_of(cohort / name) for name in ("labels", "one"))
    assert len(found) == 4 and list(found.values()) == list(expected.values())
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
