"""README and docs: Python runs as written, at a tiny size; parsers understand the commands."""

import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
from scripts_as_modules import load_script

from synthtf.data.phantom_rendering import render_phantom
from synthtf.data.phantoms import head_phantom, write_phantoms
from synthtf.data.volume_writer import write_volume

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# Pages whose Python has tests of its own, which also check what comes out.
ELSEWHERE = {
    "CONTRIBUTING.md",
    "cluster.md",
    "features.md",
    "in_context.md",
    "loops.md",
    "training.md",
}
# Pages whose Python needs files that only users have: only what it imports is tried.
OF_USERS = {"published.md"}
# What would take minutes, and what stands for it here.
SMALLER = {"(64, 64, 64)": "(16, 16, 16)", "spacing=3.0": "spacing=8.0"}
SMALLER |= {"num_batches=50": "num_batches=1", "epochs=40": "epochs=1"}


def blocks(page):
    """Python of a page; what the README shows, too, is tried there."""
    found = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    return found if page == README else [code for code in found if code not in README.read_text()]


def commands(page):
    text = page.read_text().replace("\\\n", " ")
    alias = dict(re.findall(r"(\w+)=(synthtf-[\w-]+)", text))
    names = "|".join(["synthtf(?:-[a-z]+)*", *alias])
    found = re.findall(rf"^ {{4}}(?:\$ )?((?:{names}) .*)$", text, re.MULTILINE)
    words = [shlex.split(line, comments=True) for line in found]
    return [[alias.get(program, program), *rest] for program, *rest in words]


PAGES_TEXT = {page.name: page.read_text() for page in PAGES}


def test_there_are_examples():
    by_page = {page.name: blocks(page) for page in PAGES}
    assert len(by_page["README.md"]) == 1 and len(by_page["concepts.md"]) == 2
    assert all(text in by_page["README.md"][0] for text in SMALLER)
    assert sum(map(len, map(commands, PAGES))) > 40
    assert f"from {write_phantoms.__module__} import write_phantoms" in PAGES_TEXT["start.md"]


TRIED = [page for page in PAGES if blocks(page) and page.name not in ELSEWHERE]


@pytest.mark.filterwarnings("ignore::synthtf.inference.CautionWarning")
@pytest.mark.parametrize("page", TRIED, ids=lambda page: page.stem)
def test_python_runs(page, tmp_path, monkeypatch):
    """One page is one session, in a folder with label maps and a scan."""
    write_phantoms(tmp_path / "maps", 2, shape=(24, 24, 24), spacing=8.0)
    phantom = head_phantom(0, (32, 32, 32), 6.0)
    scan = render_phantom(phantom, "T1", spacing=6.0)
    write_volume(tmp_path / "scan.nii.gz", scan, affine=np.diag([6.0, 6.0, 6.0, 1.0]))
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page.stem}
    for code in blocks(page):
        for old, new in SMALLER.items():
            code = code.replace(old, new)
        if keras.backend.backend() != "tensorflow":
            code = code.replace('.export("segmenter")', "")
        if page.name in OF_USERS:
            code = "".join(re.findall(r"^(?:import|from) .*\n", code, re.MULTILINE))
        exec(code, names)
    if page.name == "README.md" and keras.backend.backend() == "tensorflow":
        assert (tmp_path / "segmenter" / "saved_model.pb").is_file()
    if page.name == "concepts.md":
        assert tuple(names["image"].shape) == (1, 96, 96, 1)
        image = np.random.default_rng(0).uniform(size=(2, 8, 8, 1)).astype("float32")
        inverted = np.asarray(keras.ops.convert_to_numpy(names["RandomNegative"]()(image)))
        assert inverted.shape == image.shape and not np.allclose(inverted, image)


PARSERS = load_script("boutiques_descriptors").parsers()


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if commands(page) and page.name != "CONTRIBUTING.md"],
    ids=lambda page: page.stem,
)
def test_commands_are_understood(page):
    for words in commands(page):
        if "COMMAND" in words:
            continue
        if words[0] == "synthtf-synthmorph" and words[1] != "apply":
            words.insert(1, "register")  # as the original does
        most = next(n for n in (3, 2, 1) if " ".join(words[:n]) in PARSERS)
        try:
            PARSERS[" ".join(words[:most])].parse_args(words[most:])
        except SystemExit as error:
            assert error.code == 0, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s#]+)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target
