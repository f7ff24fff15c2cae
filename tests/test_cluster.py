"""The scripts in docs/cluster.md: what a shell and the commands make of them."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from synthtf.cli.main import build_parser

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "cluster.md").read_text()
SCRIPTS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


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
