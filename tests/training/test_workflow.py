import csv
import importlib.util
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from synthtf.layers import RandomAffine, RandomIntensity, RandomNoise
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.synthesis import Recipe
from synthtf.tasks import SegmentationTask
from synthtf.training import Schedule
from synthtf.training.checkpoint import SaveRun
from synthtf.training.plan import TrainingPlan
from synthtf.training.workflow import train_run

# Few layers: each training traces its own graph.
RECIPE = Recipe([RandomAffine(), RandomIntensity(), RandomNoise()])
PLAN = {
    "recipe": RECIPE,
    "task": SegmentationTask(UNetConfig(features=2, levels=2)),
    "shape": (16, 16),
    "steps_per_epoch": 2,
    "seed": 3,
}


@pytest.fixture(scope="module")
def maps():
    labels = np.zeros((20, 18), "int32")
    labels[4:15, 3:13] = 2
    labels[7:11, 5:9] = 41
    return [labels, labels[::-1].copy()]


def train(maps, folder, epochs, resume=False, schedule=None, **plan):
    # What the guard does has a file of its own.
    schedule = Schedule(epochs, learning_rate=0.01, check_every=0, **(schedule or {}))
    plan = TrainingPlan(**{**PLAN, **plan})
    return train_run(maps, folder, plan, schedule, resume, verbose=0)


@pytest.fixture(scope="module")
def trained(maps, tmp_path_factory):
    """A run of one epoch, which tests may read and copy."""
    return train(maps, tmp_path_factory.mktemp("trained") / "run", 1).folder


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of that run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def rows(run):
    with open(run.folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def flat_learning_rate(monkeypatch):
    """The annealing depends on the total of epochs, which a test of resuming must not."""
    monkeypatch.setattr(
        "synthtf.training.loop.CosineBudget.on_epoch_begin", lambda *args, **kwargs: None
    )


def test_a_run_holds_all_that_is_needed(maps, tmp_path):
    board = importlib.util.find_spec("tensorboard") is not None
    run = train(maps, tmp_path / "run", 2, schedule={"tensorboard": board})
    events = list((run.folder / "tensorboard").rglob("events.out.tfevents.*"))
    assert bool(events) == board
    for name in ("model.keras", "recipe.json", "labels.tsv", "run.json", "log.csv"):
        assert (run.folder / name).is_file()
    for name in ("samples.png", "learning_curve.png"):
        assert (run.folder / name).stat().st_size > 1000
    assert [row["epoch"] for row in rows(run)] == ["0", "1"]
    assert all(np.isfinite(float(row["loss"])) for row in rows(run))
    again = Run.load(run.folder)
    assert again.output_labels == (0, 2, 41) and again.shape == (16, 16)
    assert again.multiple == 2 and again.spacing == (1.0, 1.0)
    assert again.recipe == RECIPE
    assert again.metadata["epochs_done"] == 2 and again.metadata["steps_done"] == 4
    posteriors = again.task_model.predict_on_batch(np.zeros((1, 8, 8, 1), "float32"))
    assert posteriors.shape == (1, 8, 8, 3)


def test_tensorboard_must_be_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install tensorboard"):
        Schedule(1, tensorboard=True)


@pytest.mark.parametrize("warm_up", [0, 1])
def test_resuming_continues_bit_for_bit(maps, tmp_path, monkeypatch, warm_up):
    flat_learning_rate(monkeypatch)
    task = SegmentationTask(UNetConfig(features=2, levels=2), warm_up=warm_up)
    check_resume(maps, tmp_path, {}, task=task)


@pytest.mark.slow
def test_a_constant_rate_and_an_average_resume_bit_for_bit(maps, tmp_path):
    """Three steps make one change of the weights, and two an epoch."""
    check_resume(maps, tmp_path, {"anneal": False, "average": 0.9, "accumulate": 3})


def check_resume(maps, tmp_path, schedule, **plan):
    whole = train(maps, tmp_path / "whole", 4, schedule=schedule, **plan)
    train(maps, tmp_path / "parts", 2, schedule=schedule, **plan)
    parts = train(maps, tmp_path / "parts", 4, resume=True, schedule=schedule, **plan)
    expected = whole.task_model.get_weights()
    for actual, weights in zip(parts.task_model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(actual, weights)
    losses = [row["loss"] for row in rows(whole)]
    assert np.isfinite(np.array(losses, float)).all()
    assert [row["loss"] for row in rows(parts)] == losses


def test_networks_are_written_in_float32(maps, tmp_path):
    try:
        run = train(maps, tmp_path / "run", 1, precision="mixed_bfloat16")
    finally:
        keras.config.set_dtype_policy("float32")
    network = Run.load(run.folder).task_model
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert network.get_layer("down_0_conv_0").get_weights()[0].std() > 0
    assert (run.folder / "checkpoints").is_dir()


def test_a_training_is_not_overwritten(maps, folder):
    with pytest.raises(ValueError, match="resume"):
        train(maps, folder, 1)


def test_resuming_with_other_settings_is_refused(maps, folder):
    network = PLAN["task"].network
    for change, message in (
        ({"recipe": "synthseg"}, "another recipe"),
        ({"task": SegmentationTask(UNetConfig(features=3, levels=2))}, "another `network`"),
        ({"seed": 4}, "another `seed`"),
        ({"task": SegmentationTask(network, "dice")}, "another `loss`"),
    ):
        with pytest.raises(ValueError, match=message):
            train(maps, folder, 2, resume=True, **change)


def test_starts_from_the_weights_of_another_run(maps, trained, tmp_path, monkeypatch):
    models = []
    monkeypatch.setattr(
        "synthtf.training.workflow.train", lambda run, model, *args: models.append(model)
    )
    train(maps, tmp_path / "second", 1, start=trained, recipe="synthseg", seed=5)
    expected = Run.load(trained).task_model.get_weights()
    for actual, weights in zip(models[0].task_model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(actual, weights)
    wider = SegmentationTask(UNetConfig(features=3, levels=2))
    with pytest.raises(ValueError, match="another network"):
        train(maps, tmp_path / "third", 1, start=trained, task=wider)


def test_minutes_end_a_training(maps, tmp_path):
    schedule = Schedule(epochs=1000, minutes=1e-4)
    run = train_run(maps, tmp_path / "run", TrainingPlan(**PLAN), schedule, verbose=0)
    assert run.metadata["epochs_done"] == 1


class Clock:
    """Of seconds that only epochs take, and the learning rates and losses of these."""

    def __init__(self, monkeypatch, seconds, fails_at=None):
        self.now, self.rates = 0.0, []
        original = SaveRun.on_epoch_end

        def on_epoch_end(callback, epoch, logs=None):
            original(callback, epoch, logs)
            self.rates.append(float(callback.model.optimizer.learning_rate))
            self.now += seconds
            if epoch == fails_at:
                raise KeyboardInterrupt

        monkeypatch.setattr(SaveRun, "on_epoch_end", on_epoch_end)
        monkeypatch.setattr("synthtf.training.loop.time", self)

    def monotonic(self):
        return self.now


def cosine(planned):
    fall = (1 + np.cos(np.pi * np.arange(planned) / planned)) / 2
    return 0.01 * (0.01 + 0.99 * fall)


@pytest.mark.slow
def test_minutes_are_planned_as_epochs_which_resume_bit_for_bit(maps, tmp_path, monkeypatch):
    """Epochs of 6 s in 39 s: 5 more fit in what the first one leaves, whatever they take later."""
    schedule = {"minutes": 0.65}
    with monkeypatch.context() as patch:
        clock = Clock(patch, 6.0)
        whole = train(maps, tmp_path / "whole", 1000, schedule=schedule)
    assert whole.metadata["planned_epochs"] == whole.metadata["epochs_done"] == 6
    np.testing.assert_allclose(clock.rates, cosine(6), rtol=1e-5)
    with monkeypatch.context() as patch:
        Clock(patch, 6.0, fails_at=2)
        with pytest.raises(KeyboardInterrupt):
            train(maps, tmp_path / "parts", 1000, schedule=schedule)
    with monkeypatch.context() as patch:
        clock = Clock(patch, 6.5)
        parts = train(maps, tmp_path / "parts", 1000, resume=True, schedule=schedule)
    np.testing.assert_allclose(clock.rates, cosine(6)[3:], rtol=1e-5)
    assert [row["loss"] for row in rows(parts)] == [row["loss"] for row in rows(whole)]
    for a, b in zip(parts.task_model.get_weights(), whole.task_model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seconds", [0.5, 6.0])
def test_minutes_that_are_enough_leave_the_learning_rate_as_it_is(
    maps, tmp_path, monkeypatch, seconds
):
    """Planned during the first epoch or later: the same on each machine."""
    clock = Clock(monkeypatch, seconds)
    run = train(maps, tmp_path / "run", 4, schedule={"minutes": 0.65})
    assert run.metadata["epochs_done"] == 4
    np.testing.assert_allclose(clock.rates, cosine(4), rtol=1e-5)


@pytest.mark.slow
def test_minutes_end_a_training_that_slows_down_and_more_of_them_go_on(maps, tmp_path, monkeypatch):
    schedule = {"minutes": 0.65}
    with monkeypatch.context() as patch:
        Clock(patch, 6.0, fails_at=1)
        with pytest.raises(KeyboardInterrupt):
            train(maps, tmp_path / "run", 1000, schedule=schedule)
    with monkeypatch.context() as patch:
        Clock(patch, 30.0)
        run = train(maps, tmp_path / "run", 1000, resume=True, schedule=schedule)
    assert run.metadata["epochs_done"] < run.metadata["planned_epochs"] == 6
    done, minutes = run.metadata["epochs_done"], run.metadata["minutes_done"]
    with monkeypatch.context() as patch:
        Clock(patch, 60 * minutes / done)
        more = {"minutes": minutes + 2.5 * minutes / done}
        run = train(maps, tmp_path / "run", 1000, resume=True, schedule=more)
    assert run.metadata["planned_epochs"] == run.metadata["epochs_done"] == done + 2


@pytest.mark.slow
def test_the_network_is_the_moving_average_of_the_weights(maps, tmp_path):
    def weights(name, epochs, average=0.0):
        schedule = {"anneal": False, "average": average}
        run = train(maps, tmp_path / name, epochs, schedule=schedule, steps_per_epoch=1)
        return run.task_model.get_weights()

    one, two = weights("one", 1), weights("two", 2)
    for average, first, second in zip(weights("average", 2, 0.75), one, two, strict=True):
        np.testing.assert_allclose(average, 0.75 * first + 0.25 * second, atol=1e-6)


def test_without_annealing_the_learning_rate_stays(maps, tmp_path, monkeypatch):
    clock = Clock(monkeypatch, 1.0)
    train(maps, tmp_path / "run", 3, schedule={"anneal": False})
    np.testing.assert_allclose(clock.rates, 0.01)


def test_learning_rate_falls_along_a_half_cosine(maps, tmp_path, monkeypatch):
    clock = Clock(monkeypatch, 1.0)
    train(maps, tmp_path / "run", 4)
    np.testing.assert_allclose(clock.rates, cosine(4), rtol=1e-5)


def test_schedule_is_checked():
    for bad in (
        {"epochs": -1},
        {"minutes": 0},
        {"learning_rate": 2.0},
        {"average": 1.0},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            Schedule(**bad)


@pytest.mark.parametrize("name", ["run.json", "labels.tsv", "recipe.json", "model.keras"])
def test_a_missing_file_of_a_run_is_named(folder, name):
    (folder / name).unlink()
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(FileNotFoundError, match=name):
        _ = Run.load(folder).task_model


def test_broken_files_of_a_run_are_named(folder):
    (folder / "model.keras").write_bytes(b"nothing")
    (folder / "SHA256SUMS").unlink()
    with pytest.raises(ValueError, match=r"model\.keras"):
        _ = Run.load(folder).task_model
    facts = json.loads((folder / "run.json").read_text())
    del facts["spacing"]
    (folder / "run.json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match="spacing"):
        Run.load(folder)
