"""Sweeps: one range varied, all else fixed, each from the same weights."""

import csv
import json

import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.volume_writer import write_volume
from synthtf.layers import RandomBlur, RandomIntensity
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.synthesis import Recipe
from synthtf.tasks import segmentation
from synthtf.training.range_study import as_value

pytestmark = pytest.mark.usefixtures("quick_training")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A run, as it begins, and a label map."""
    folder = tmp_path_factory.mktemp("data")
    labels = np.zeros((8, 8), "int32")
    labels[2:6, 2:6] = 1
    write_volume(folder / "map.nii.gz", labels, affine=np.eye(4))
    recipe = Recipe([RandomIntensity(), RandomBlur(std=(0, 1))])
    segmentation((8, 8), [0, 1], 1.0, recipe, network=UNetConfig(2, 2)).save_run(folder / "run")
    return folder


def sweep(data, folder, *values, vary="blur.std"):
    command = ["sweep", str(data / "run"), str(data / "map.nii.gz"), "-o", str(folder)]
    command += ["--learning-rate", "1e-8", "--optimizer", "adam"]
    command += ["--vary", vary, "--epochs", "1", "--steps-per-epoch", "1", "--check-every", "0"]
    return main([*command, "--values", *values])


def test_each_value_begins_with_the_same_weights(data, tmp_path, capsys):
    assert sweep(data, tmp_path / "out", "0", "0.5:2") == 0
    with open(tmp_path / "out" / "sweep.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["value"] for row in rows] == ["0", "0.5:2"]
    assert rows[0]["loss"] != rows[1]["loss"]
    assert (tmp_path / "out" / "sweep.png").stat().st_size > 1000
    runs = [Run.load(tmp_path / "out" / f"blur.std_{name}") for name in ("0", "0.5_to_2")]
    assert [run.recipe["blur"].std for run in runs] == [(0, 0), (0.5, 2)]
    first = Run.load(data / "run").task_model.get_weights()
    for run in runs:
        for old, new in zip(first, run.task_model.get_weights(), strict=True):
            np.testing.assert_allclose(new, old, atol=1e-6)
    assert "0.5:2" in capsys.readouterr().out
    # What is done is not done again.
    before = json.loads((runs[0].folder / "run.json").read_text())
    assert sweep(data, tmp_path / "out", "0", "0.5:2") == 0
    assert json.loads((runs[0].folder / "run.json").read_text()) == before


def test_what_cannot_be_varied_is_a_wrong_usage(data, tmp_path, capsys):
    for values, vary in (
        (("0", "1"), "blur.size"),
        (("0",), "blur.std"),
        (("0", "wide"), "blur.std"),
        (("0", "-1"), "blur.std"),
    ):
        assert sweep(data, tmp_path / "out", *values, vary=vary) == 2
    errors = capsys.readouterr().err
    assert "the recipe has" in errors and "two or more values" in errors
    assert "a number such as 0.5" in errors and "`std` must" in errors
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="1:2:3"):
        as_value("1:2:3")
