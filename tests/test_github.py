"""Workflows and forms are well-formed, safe, and call the scripts that are tested here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / ".github"
SCHEMAS = {
    "vendor.github-workflows": sorted(GITHUB.glob("workflows/*.yml")),
    "vendor.github-issue-forms": sorted(GITHUB.glob("ISSUE_TEMPLATE/[!c]*.yml")),
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_fit_their_schema(schema):
    assert SCHEMAS[schema]
    program = Path(sys.executable).with_name("check-jsonschema")
    run(program, "--builtin-schema", schema, *SCHEMAS[schema])


def test_workflows_are_safe():
    run(Path(sys.executable).with_name("zizmor"), "--offline", "--quiet", GITHUB)


def test_workflows_know_no_other_way_to_test():
    for path in SCHEMAS["vendor.github-workflows"]:
        for command in re.findall(r"run: (.*)", path.read_text()):
            script = command.removeprefix("bash ").split()[0]
            assert (ROOT / script).is_file(), command
