"""The examples of CONTRIBUTING.md: a layer, a task and a format, added as it says."""

import doctest
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from synthtf import interop, tasks
from synthtf.cli.main import main
from synthtf.data import Affine, write_volume
from synthtf.interop import read_transform, transform_files, write_transform
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe
from synthtf.tasks import registry

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
FILES = dict(re.findall(r"^`(\S+\.py)`:\n\n```python\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE))


@pytest.fixture
def added(tmp_path, monkeypatch):
    """A package path with the files of the examples, beside the package's own."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "synthtf/layers/acquisition"))
    for package in (tasks, interop):
        own = str(tmp_path / package.__name__.replace(".", "/"))
        monkeypatch.setattr(package, "__path__", [*package.__path__, own])
    return tmp_path


def test_all_examples_are_found():
    assert len(FILES) == 5
    for name in re.findall(r"^`(\S+\.py)`:$", TEXT, re.MULTILINE):
        assert name in FILES


def test_the_layer(added):
    module = importlib.import_module("random_stripes")
    assert not doctest.testmod(module).failed
    recipe = Recipe([*Recipe.preset("tutorial"), module.RandomStripes(depth=0.2)])
    assert recipe.ranges()["stripes.depth"].high == 0.2
    sample = {"labels": np.ones((1, 9, 9, 1), "int32"), "key": np.array([[0, 1]], "int32")}
    assert np.isfinite(np.asarray(recipe.build((9, 9), [0, 1])(sample)["image"])).all()


def test_the_test_of_the_layer(added):
    layer, test = (added / name for name in FILES if "stripes" in name)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "2d", str(test)],
        cwd=layer.parent,
        env={**os.environ, "PYTHONPATH": f"{layer.parent}:{Path.cwd()}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 20


def test_the_task(added, monkeypatch):
    (line,) = re.findall(r'^    "(foreground\..*)",$', TEXT, re.MULTILINE)
    monkeypatch.setattr(registry, "_CLASSES", (*registry._CLASSES, line))
    for cached in (registry.tasks, registry.functions):
        cached.cache_clear()
    try:
        labels = np.zeros((24, 16, 8), "int32")
        labels[6:18, 4:12] = 3
        write_volume(added / "maps" / "a.nii.gz", labels, affine=np.eye(4))
        words = ["train", "foreground", str(added / "maps"), "-o", str(added / "run")]
        size = ["--features", "4", "--levels", "2", "--smoothing", "0.1", "--shape", "16", "16"]
        size += ["8", "--epochs", "1", "--steps-per-epoch", "2", "--recipe", "tutorial"]
        assert main([*words, *size]) == 0
        facts = json.loads((added / "run" / "run.json").read_text())
        assert facts["task"] == "foreground" and facts["smoothing"] == 0.1
        network = Run.load(added / "run").task_model
        assert network.output_shape == (None, None, None, None, 1)
        model = registry.functions()["foreground_mask"]((16, 16), [0, 3], smoothing=0.2)
        assert model.smoothing == 0.2
    finally:
        monkeypatch.undo()
        for cached in (registry.tasks, registry.functions):
            cached.cache_clear()


def test_the_format(added, monkeypatch):
    module = importlib.import_module("synthtf.interop.mni_xfm")
    formats = (*transform_files.FORMATS, module.XFM)
    monkeypatch.setattr(transform_files, "FORMATS", formats)
    monkeypatch.setattr(transform_files, "ENDINGS", (*transform_files.ENDINGS, ".xfm"))
    matrix = np.array([[1, 0.1, 0, 3], [0, 0.9, 0, -2], [0, 0, 1.1, 5], [0, 0, 0, 1]])
    write_transform(added / "a.xfm", Affine(matrix), fixed=None, moving=None)
    np.testing.assert_allclose(read_transform(added / "a.xfm").matrix, matrix, atol=1e-6)
