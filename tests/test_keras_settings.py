"""What a user's keras.json says of dtypes, channels and epsilon changes no result."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import nibabel as nib
import numpy as np
import pytest

import synthtf
from synthtf.data import LabelMaps
from synthtf.inference import segment
from synthtf.layers import RandomIntensity, RandomNoise
from synthtf.losses import DiceCrossEntropy, SoftDice, border_distance_loss
from synthtf.metrics import DiceMetric
from synthtf.networks import UNetConfig
from synthtf.synthesis import Recipe
from synthtf.tasks import SegmentationTask
from synthtf.testing import keras_settings
from synthtf.training import Schedule
from synthtf.training.plan import TrainingPlan
from synthtf.training.workflow import train_run

ROOT = Path(synthtf.__file__).parent
RECIPE = Recipe([RandomIntensity(), RandomNoise()])
# Makers of tensors, and the place of their dtype among the arguments.
MAKERS = {
    "ones": 1,
    "zeros": 1,
    "empty": 1,
    "array": 1,
    "full": 2,
    "eye": 3,
    "tri": 3,
    "arange": 3,
    "linspace": 5,
    "logspace": 6,
    "identity": 1,
}


def lacks_dtype(node):
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    place = MAKERS.get(node.func.attr)
    if node.func.attr == "convert_to_tensor":
        place = 1 if isinstance(node.args[0], ast.List | ast.ListComp | ast.Tuple) else None
    if place is None or ast.unparse(node.func.value) not in ("ops", "keras.ops"):
        return False
    return len(node.args) <= place and all(word.arg != "dtype" for word in node.keywords)


def test_new_tensors_have_a_dtype():
    """Without one, that of keras.json is taken."""
    calls = [
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for path in sorted(ROOT.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if lacks_dtype(node)
    ]
    assert calls == []


@pytest.fixture(scope="module")
def maps():
    image = np.zeros((32, 32), "int32")
    image[6:26, 6:22] = 2
    image[10:16, 9:15] = 3
    return [image, image[::-1].copy()]


def train(maps, folder):
    task = SegmentationTask(UNetConfig(features=4, levels=2))
    plan = TrainingPlan(task=task, recipe=RECIPE, shape=(32, 32), steps_per_epoch=2)
    return train_run(maps, folder, plan, Schedule(1, check_every=1), verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("floatx", ["float16", "float64"])
def test_training_a_run(maps, tmp_path, floatx):
    expected = train(maps, tmp_path / "default")
    with keras_settings(floatx):
        found = train(maps, tmp_path / "other")
    for one, other in zip(
        found.task_model.get_weights(), expected.task_model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert (found.folder / "log.csv").read_text() == (expected.folder / "log.csv").read_text()


def test_segmenting_a_scan(tmp_path):
    path, run = tmp_path / "scan.nii.gz", Path(__file__).parent / "runs" / "fine_run"
    image = np.random.default_rng(0).uniform(0, 1, (24, 20, 16)).astype("float32")
    nib.save(nib.Nifti1Image(image, np.eye(4)), path)
    expected = segment(path, run, posteriors=True)
    with keras_settings("float16"):
        found = segment(path, run, posteriors=True)
    np.testing.assert_array_equal(found.posteriors.data, expected.posteriors.data)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["segmentation", "skull_stripping", "registration"])
@pytest.mark.parametrize("floatx", ["float64", "float16", "bfloat16"])
def test_a_plain_fit_learns_in_any_of_them(maps, task, floatx):
    """The dtype is then that of the network, as for every model of Keras."""
    with keras_settings(floatx):
        model = getattr(synthtf.tasks, task)(shape=(32, 32), labels=[0, 2, 3], recipe=RECIPE)
        model.compile("adam")
        batches = LabelMaps(maps, batch_size=model.maps_per_sample)
        history = model.fit(batches, verbose=0).history
    assert np.isfinite(np.array(history["loss"], "float64")).all()
    assert floatx in {layer.compute_dtype for layer in model.task_model.layers}


def test_losses_and_metrics_compute_in_float32():
    generator = np.random.default_rng(0)
    truth = np.eye(3, dtype="float32")[generator.integers(0, 3, (1, 6, 6))]
    found = generator.dirichlet(np.ones(3), (1, 6, 6)).astype("float32")

    def values():
        metric = DiceMetric(3)
        metric.update_state(truth.argmax(-1)[..., None], found)
        distances = 30 * found
        yield from (SoftDice()(truth, found), DiceCrossEntropy()(truth, found), metric.result())
        yield border_distance_loss(30 * truth, distances)

    expected = [keras.ops.convert_to_numpy(value) for value in values()]
    with keras_settings("float16"):
        other = [keras.ops.convert_to_numpy(value) for value in values()]
    for one, two in zip(other, expected, strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_allclose(one, two, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("data_format", "floatx"), [("channels_first", "float64")])
def test_a_keras_json_changes_nothing(maps, tmp_path, data_format, floatx):
    """The settings are read as Keras is imported, so that this needs processes of their own."""
    for number, labels in enumerate(maps):
        nib.save(nib.Nifti1Image(labels[..., None], np.eye(4)), tmp_path / f"{number}.nii.gz")
    settings = {"image_data_format": data_format, "floatx": floatx, "epsilon": 0.01}
    other = tmp_path / "home"
    other.mkdir()
    (other / "keras.json").write_text(json.dumps({"backend": "tensorflow"} | settings))
    logs = []
    for home in (tmp_path / "default", other):
        run = home / "run"
        command = [sys.executable, "-m", "synthtf.cli.main", "train", "segmentation", tmp_path]
        size = ["--shape", "32", "32", "--features", "4", "--levels", "2"]
        done = subprocess.run(
            [*command, "-o", run, *size, "--epochs", "1", "--steps-per-epoch", "2"],
            env=os.environ | {"KERAS_HOME": str(home), "PYTHONPATH": str(ROOT.parent)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        logs.append((run / "log.csv").read_text())
    assert logs[0] == logs[1]
