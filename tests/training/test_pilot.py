"""Pilots are trained by the same recipe, and the real training begins with their weights."""

import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.volume_writer import write_volume
from synthtf.layers import RandomIntensity
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.synthesis import Recipe
from synthtf.tasks import SegmentationTask, segmentation
from synthtf.training import TrainingPlan
from synthtf.training.pilot import pilot_of
from synthtf.training.workflow import make_maps

pytestmark = pytest.mark.usefixtures("quick_training")
SHAPE = (16, 16, 16)
SIZES = ["--shape", "16", "16", "16", "--features", "2", "--levels", "2", "--check-every", "0"]
SIZES += ["--epochs", "1", "--steps-per-epoch", "1"]


def anatomy():
    labels = np.zeros(SHAPE, "int32")
    labels[2:14, 3:13, 2:12] = 1
    labels[6:9, 6:9, 5:9] = 2
    return labels


@pytest.fixture
def data(tmp_path):
    write_volume(tmp_path / "map.nii.gz", anatomy(), affine=np.diag([2, 2, 2, 1]))
    Recipe([RandomIntensity()]).save(tmp_path / "recipe.json")
    return tmp_path


def train(data, name, *more):
    command = ["train", "segmentation", str(data / "map.nii.gz"), "-o", str(data / name)]
    return main([*command, "--recipe", str(data / "recipe.json"), *SIZES, *more])


@pytest.mark.parametrize(
    "pilot, shape, spacing", [("half", (8, 8, 8), (4, 4, 4)), ("2d", (16, 16), (2, 2))]
)
def test_a_pilot_begins_the_real_training(data, pilot, shape, spacing):
    assert train(data, "pilot", "--pilot", pilot) == 0
    first = Run.load(data / "pilot")
    assert (first.shape, first.spacing) == (shape, spacing)
    assert train(data, "real", "--start", str(data / "pilot"), "--epochs", "0") == 0
    run = Run.load(data / "real")
    assert (run.shape, run.spacing, run.recipe) == (SHAPE, (2, 2, 2), first.recipe)
    for old, new in zip(first.task_model.get_weights(), run.task_model.get_weights(), strict=True):
        middle = new[:, :, new.shape[2] // 2] if new.ndim > old.ndim else new
        np.testing.assert_array_equal(middle, old)
        assert np.abs(new).sum() == pytest.approx(np.abs(old).sum(), rel=1e-5)


def test_a_network_of_slices_sees_each_slice_as_before():
    """Where nothing looks across slices."""
    size = UNetConfig(features=3, levels=1)
    flat, deep = (segmentation(s, [0, 1], 1.0, network=size) for s in (SHAPE[:2], SHAPE))
    SegmentationTask(size).copy_weights(flat.run, deep.run)
    image = np.random.default_rng(0).uniform(size=(1, *SHAPE, 1)).astype("float32")
    logits = [x.task_model.get_layer("down_0_conv_0") for x in (flat, deep)]
    expected = np.stack([logits[0](image[:, :, :, z]) for z in range(16)], axis=3)
    np.testing.assert_allclose(logits[1](image), expected, atol=1e-5)


def test_slices_go_through_the_middle(data):
    plan = TrainingPlan(SegmentationTask(), recipe=data / "recipe.json", pilot="2d")
    maps, chosen = pilot_of([data / "map.nii.gz"], plan)
    assert chosen.pilot is None and chosen.spacing == (2, 2)
    found = make_maps(maps, None, chosen)[0][0]["labels"][0, ..., 0]
    np.testing.assert_array_equal(found, anatomy()[:, :, 7])
    assert pilot_of(None, chosen) == (None, chosen)


def test_what_has_no_pilot(data, capsys):
    write_volume(data / "map.nii.gz", anatomy()[:, :, 7], affine=np.eye(4))
    assert train(data, "pilot", "--pilot", "2d") == 1
    assert "label maps of two dimensions" in capsys.readouterr().err
    with pytest.raises(ValueError, match="`pilot` needs label maps"):
        pilot_of(None, TrainingPlan(SegmentationTask(), recipe="vessels", pilot="half"))
