"""The descriptors in docs/boutiques are those of the parsers, and Boutiques takes them."""

import importlib.util
import json
import shlex
import subprocess
import sys

import pytest
from scripts_as_modules import load_script

from synthtf.cli.main import COMMANDS, build_parser

script = load_script("boutiques_descriptors")
FILES = sorted(script.FOLDER.glob("*.json"))


def test_descriptors_are_those_of_the_parsers():
    """If not: python scripts/boutiques_descriptors.py"""
    texts = {script.file_name(c): script.text(c, p) for c, p in script.parsers().items()}
    assert {path.name: path.read_text(encoding="utf-8") for path in FILES} == texts


def test_every_command_has_one():
    names = {json.loads(path.read_text())["name"] for path in FILES}
    for command in COMMANDS:
        assert any(name.split()[:2] == ["synthtf", command] for name in names)
    assert {"synthtf-synthseg", "synthtf-synthstrip"} <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_keys_are_all_there_once(path):
    facts = json.loads(path.read_text())
    keys = [entry["value-key"] for entry in facts["inputs"]]
    command = facts["name"].split()
    assert facts["command-line"].split()[: len(command)] == command
    assert sorted(facts["command-line"].split()[len(command) :]) == sorted(keys)
    assert len({key.lower() for key in keys if len(key) > 3}) == sum(len(key) > 3 for key in keys)


def run(code, *words):
    if importlib.util.find_spec("boutiques") is None:
        pytest.skip("no Boutiques: pip install boutiques")
    words = [sys.executable, "-W", "ignore", "-c", code, *map(str, words)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_boutiques_takes_them():
    code = "import sys; from boutiques.bosh import bosh\n"
    run(code + "for path in sys.argv[1:]: bosh(['validate', path])", *FILES)


def test_the_command_line_of_boutiques_is_understood(tmp_path):
    values = {"bids_dir": "raw", "output_dir": "out", "analysis_level": "participant"}
    values |= {"participant_label": ["01", "02"], "task": ["strip"], "max_memory": 4, "ct": True}
    (tmp_path / "values.json").write_text(json.dumps(values))
    code = (
        "import sys; from boutiques.bosh import bosh; "
        "print(bosh(['exec', 'simulate', sys.argv[1], '-i', sys.argv[2]]))"
    )
    out = run(code, script.FOLDER / "synthtf-bids.json", tmp_path / "values.json")
    (line,) = [line for line in out.splitlines() if line.startswith("synthtf bids")][-1:]
    args = build_parser().parse_args(shlex.split(line)[1:])
    assert {name: getattr(args, name) for name in values} == values
