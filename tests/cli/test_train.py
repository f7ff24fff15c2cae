"""`synthtf train` with real scans: pairs are made once, and what is missing is a wrong usage."""

import json

import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.volume_writer import write_volume
from synthtf.runs.run import Run

STEPS = [{"layer": "RandomFlip"}, {"layer": "RandomIntensity"}, {"layer": "KeepScan"}]
SIZES = ["--features", "4", "--levels", "2", "--epochs", "1", "--steps-per-epoch", "1"]


@pytest.fixture
def data(tmp_path):
    """Two label maps with scans, and a recipe that keeps them."""
    generator = np.random.default_rng(0)
    for folder in ("maps", "scans"):
        (tmp_path / folder).mkdir()
    for name in ("a", "b"):
        labels = generator.integers(0, 3, (16, 16)).astype("int32")
        write_volume(tmp_path / "maps" / f"{name}.nii.gz", labels, affine=np.eye(4))
        write_volume(tmp_path / "scans" / f"{name}.nii.gz", 3.0 * labels, affine=np.eye(4))
    (tmp_path / "recipe.json").write_text(json.dumps(STEPS))
    return tmp_path


def command(data, *more, task="regression"):
    maps, recipe = str(data / "maps"), str(data / "recipe.json")
    return ["train", task, maps, "-o", str(data / "run"), "--recipe", recipe, *SIZES, *more]


def test_trains_on_real_scans(data, capsys):
    assert main(command(data, "--scans", str(data / "scans"), "--segment")) == 0
    run = Run.load(data / "run")
    assert run.recipe.targets == ("real",) and run.metadata["target_channels"] == [1]
    assert run.task_model.output.shape[-1] == 1 + len(run.output_labels)


def test_synthesizes_with_real_scans(data):
    arguments = ["--scans", str(data / "scans"), "--recipe", str(data / "recipe.json")]
    assert (
        main(["synthesize", str(data / "maps"), "-o", str(data / "out"), "-n", "1", *arguments])
        == 0
    )
    assert (data / "out" / "sheet.png").is_file()


def test_a_missing_scan_is_a_wrong_usage(data, capsys):
    assert main(command(data)) == 2
    assert "`scans` must be the real scans of the label maps" in capsys.readouterr().err
    (data / "scans" / "b.nii.gz").unlink()
    assert main(command(data, "--scans", str(data / "scans"))) == 2
    assert "b.nii.gz: there is no scan of its name" in capsys.readouterr().err


def test_scans_that_no_step_takes_are_a_wrong_usage(data, capsys):
    (data / "recipe.json").write_text(json.dumps(STEPS[:2]))
    assert main(command(data, "--scans", str(data / "scans"), task="segmentation")) == 2
    assert "`scans` must be left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (["--devices", "2"], "`batch_size` must be a multiple of `devices`, 2"),
        (["--devices", "999", "--batch-size", "999"], "must be "),
        (["--around", "1"], "`shape` must be given with `around`"),
    ],
)
def test_what_does_not_go_together_is_a_wrong_usage(data, capsys, words, message):
    (data / "recipe.json").write_text(json.dumps(STEPS[:2]))
    assert main(command(data, *words, task="segmentation")) == 2
    assert message in capsys.readouterr().err
    assert not (data / "run").exists()
