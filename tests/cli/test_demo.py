import csv
import dataclasses

import keras
import nibabel
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.phantoms import PHANTOM_TABLE
from synthtf.demo import DemoSettings, run_demo, walkthrough
from synthtf.demo.held_out import mean_dice, render_held_out
from synthtf.demo.settings import CONTRASTS, LIMIT, STEPS, demo_table
from synthtf.demo.steps import Steps
from synthtf.networks import UNetConfig
from synthtf.synthesis import Recipe

TINY = DemoSettings(
    steps=1,
    spacing=8.0,
    head_shape=(24, 28, 24),
    shape=(20, 24, 20),
    num_heads=2,
    num_held_out=1,
    num_samples=1,
    network=UNetConfig(features=2, levels=2),
    recipe=Recipe.preset("tutorial").without("warp", "resolution"),
    steps_per_epoch=1,
)


# Voxels of 8 mm miss the smallest structures, and one step teaches nothing.
@pytest.mark.filterwarnings("ignore:.*nothing was found:UserWarning")
@pytest.mark.filterwarnings("ignore:.*cannot be a brain:UserWarning")
@pytest.mark.filterwarnings("ignore:.*listed labels that never occur:UserWarning")
def test_the_whole_walk(tmp_path, capsys):
    result = run_demo(tmp_path / "demo", TINY)
    output, bar = capsys.readouterr()
    assert set(result.dice) == set(CONTRASTS)
    for number in range(1, 7):
        assert f"[{number}/6] " in output
    assert "synthtf train segmentation MAPS" in output and "for 1 steps" in output
    assert "were not enough" not in output
    assert "left" in bar
    with (result.folder / "run" / "log.csv").open(newline="") as stream:
        assert set(next(csv.DictReader(stream))) >= {f"val_dice_{name}" for name in CONTRASTS}
    wanted = ["phantoms/labels.tsv", "synthetic/sheet.png", "run/model.keras"]
    wanted += ["run/learning_curve.png", "held_out/dice.csv", "held_out/dice.png"]
    wanted += [f"held_out/overlay_{contrast}.png" for contrast in CONTRASTS]
    assert [name for name in wanted if not (result.folder / name).is_file()] == []
    with (result.folder / "held_out" / "volumes.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == len(CONTRASTS)
    exported = keras.backend.backend() == "tensorflow"
    assert (result.folder / "saved_model").is_dir() == exported
    assert ("did not import synthtf gave the same" in output) == exported
    scan = nibabel.load(result.folder / "segment" / "scan.nii.gz")
    assert nibabel.aff2axcodes(scan.affine) == ("L", "I", "A")


@pytest.mark.parametrize(
    "given, epochs, epoch_steps, limit",
    [
        ({}, STEPS // 50, 50, LIMIT),
        ({"steps": 130}, 2, 65, None),
        ({"steps": 7}, 1, 7, None),
        ({"steps": 100, "minutes": 3}, 2, 50, 3),
        ({"minutes": 3}, 10_000, 50, 3),
    ],
)
def test_steps_decide_unless_minutes_alone_are_given(given, epochs, epoch_steps, limit):
    settings = DemoSettings(**given)
    assert (settings.epochs, settings.epoch_steps, settings.limit) == (epochs, epoch_steps, limit)


def test_steps_that_the_minutes_were_not_enough_for(tmp_path, capsys):
    settings = dataclasses.replace(TINY, steps=3, minutes=1e-4)
    walkthrough._train(*heads_of(tmp_path, settings))
    output = capsys.readouterr().out
    assert "for 3 steps, which may take 0.0001 minutes" in output and "1 steps. Figure" in output
    assert "--steps 3 takes as long as it takes" in output


def heads_of(folder, settings):
    """Arguments of the step that trains."""
    steps = Steps(1)
    maps = walkthrough._make_heads(folder / "phantoms", settings, steps)
    return maps, folder / "run", walkthrough._plan(settings), settings, steps


def test_left_and_right_stay_apart_and_every_label_is_placed():
    table = demo_table()
    assert table.ids == tuple(row[0] for row in PHANTOM_TABLE)
    assert len(table.output_labels) == 13
    assert len(table.output_pairs) == 5
    for label in table.brain_labels:
        assert table.mapping[label] != 0, table.name(label)


def test_held_out_scans_have_the_field_of_view_of_the_training(tmp_path):
    scans = render_held_out(tmp_path, TINY, demo_table())
    assert [scan.contrast for scan in scans] == list(CONTRASTS)
    for scan in scans:
        image, reference = nibabel.load(scan.scan), nibabel.load(scan.reference)
        assert image.shape == reference.shape == TINY.shape
        values = set(np.unique(np.asarray(reference.dataobj)).tolist())
        assert values <= set(demo_table().output_labels)


def test_held_out_heads_are_never_trained_on():
    for seed in (0, 1, 7):
        settings = DemoSettings(seed=seed)
        trained = range(settings.first_head, settings.first_head + settings.num_heads)
        assert settings.first_held_out not in trained
        assert settings.validation_head not in trained
        assert settings.validation_head < settings.first_held_out
        assert settings.first_held_out + settings.num_held_out < 1000 * (seed + 1)


def test_mean_over_heads_then_structures():
    rows = [
        {"name": name, "contrast": contrast, "dice": dice}
        for contrast in CONTRASTS
        for name, dice in (("a", 0.2), ("a", 0.4), ("b", 0.9))
    ]
    found = mean_dice(rows)
    assert [row["name"] for row in found] == ["a", "b", "mean"]
    assert found[0]["T1"] == pytest.approx(0.3)
    assert found[-1]["CT"] == pytest.approx(0.6)


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ValueError, match="expected a new or empty folder"):
        run_demo(tmp_path, TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--minutes", "0"], "minutes above 0"),
        (["--steps", "0"], "steps as a whole number above 0"),
        (["--seed", "-1"], "seed as a whole number"),
    ],
)
def test_wrong_usage(tmp_path, capsys, words, message):
    assert main(["demo", "-o", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err
