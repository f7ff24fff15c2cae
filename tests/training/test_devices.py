"""Devices that train together, each backend in a process of its own with two virtual ones."""

import importlib.util

import keras
import numpy as np
import pytest
from backend_process import run

from synthtf.data import LabelMaps
from synthtf.tasks import SegmentationTask
from synthtf.training import Schedule, TrainingPlan, on_devices, train_run

TWO_DEVICES = """
import os, sys
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import keras
import numpy as np
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
from synthtf.data import LabelMaps
from synthtf.layers import RandomAffine, RandomIntensity, RandomNoise
from synthtf.networks import UNetConfig
from synthtf.synthesis import Recipe
from synthtf.tasks.registry import tasks
from synthtf.training import Schedule, TrainingPlan, on_devices, train_run

labels = np.zeros((16, 16), "int32")
labels[3:13, 3:12], labels[6:10, 5:9] = 2, 3
maps = [labels, labels[::-1].copy()]
steps = [RandomAffine(translation=2), RandomIntensity(), RandomNoise()]

def curve(run):
    return np.genfromtxt(run.folder / "log.csv", delimiter=",", skip_header=1)
"""

TRAIN = (
    TWO_DEVICES
    + """
def trained(folder, devices, epochs):
    plan = TrainingPlan(
        task=tasks()["segmentation"](UNetConfig(2, 2, normalization=sys.argv[1])),
        recipe=Recipe(steps), shape=(16, 16), steps_per_epoch=2, batch_size=4, devices=devices,
    )
    schedule = Schedule(epochs, learning_rate=0.01, anneal=False, average=0.5, check_every=0)
    return train_run(maps, folder, plan, schedule, resume=True, verbose=0)

expected = trained("one", 1, 2)
trained("two", 2, 1)
found = trained("two", 2, 2)
np.testing.assert_allclose(curve(found), curve(expected), atol=1e-4)
weights = [run.task_model.get_weights() for run in (found, expected)]
for one, other in zip(*weights, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-3)
"""
)

LOSSES = (
    TWO_DEVICES
    + """
maps = LabelMaps(maps, batch_size=4, num_batches=2, seed=1)
task = tasks()[sys.argv[1]]
histories = []
for devices in (1, 2):
    keras.utils.set_random_seed(1)
    maps.epoch = 0
    with on_devices(devices):
        model = task().make((16, 16), [0, 2, 3], 1.0, Recipe.of(steps))
        model.compile("sgd")
        histories.append(model.fit(maps, epochs=2, shuffle=False, verbose=0).history)
for name, values in histories[0].items():
    np.testing.assert_allclose(histories[1][name], values, rtol=1e-3, atol=1e-4, err_msg=name)
"""
)

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")


@pytest.mark.slow
def test_two_devices_train_as_one_does_and_resume(tmp_path):
    pytest.importorskip("tensorflow")
    run("tensorflow", TRAIN, tmp_path, "instance")


@pytest.mark.slow
@needs_jax
def test_two_devices_train_as_one_does_on_jax(tmp_path):
    run("jax", TRAIN, tmp_path, "instance")


@pytest.mark.slow
def test_statistics_are_those_of_the_whole_batch(tmp_path):
    pytest.importorskip("tensorflow")
    run("tensorflow", TRAIN, tmp_path, "batch")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["registration", "stripping"])
def test_each_objective_is_that_of_the_whole_batch(tmp_path, task):
    pytest.importorskip("tensorflow")
    run("tensorflow", LOSSES, tmp_path, task)


def test_a_run_folder_is_written_by_one_process(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    plan = TrainingPlan(SegmentationTask())
    with pytest.raises(ValueError, match="a run folder is written by one process"):
        train_run([np.ones((4, 4), "int32")], tmp_path / "run", plan, Schedule(1))
    assert not (tmp_path / "run").exists()


def test_a_share_of_each_batch_is_made():
    maps = LabelMaps([np.eye(4, dtype="int32"), np.ones((4, 4), "int32")], batch_size=4)
    whole = maps[0][0]
    for index in range(2):
        maps.share = index, 2
        for name, values in maps[0][0].items():
            np.testing.assert_array_equal(values, whole[name][2 * index : 2 * index + 2])


def test_samples_are_shared_equally():
    task = SegmentationTask()
    with pytest.raises(ValueError, match="`batch_size` must be a multiple of `devices`, 2"):
        TrainingPlan(task=task, batch_size=3, devices=2)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX can do both")
def test_devices_and_accumulated_gradients_do_not_go_together(tmp_path):
    plan = TrainingPlan(task=SegmentationTask(), batch_size=2, devices=2)
    with pytest.raises(ValueError, match="`accumulate` must be 1 on several devices"):
        train_run([np.ones((4, 4), "int32")], tmp_path, plan, Schedule(1, accumulate=2))


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="has one device")
def test_devices_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="must be at most the number that"), on_devices(999):
        pass


def test_backends_of_one_device_are_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match="set KERAS_BACKEND"), on_devices(2):
        pass
    with on_devices(1):
        assert np.isfinite(1)
