"""Samples that one process makes and another learns from."""

import json
import shutil

import nibabel
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data import write_volume
from synthtf.layers import RandomIntensity, RandomNoise
from synthtf.networks import UNetConfig
from synthtf.streams import ProducerOptions, produce, read_batches, read_samples
from synthtf.synthesis import Recipe
from synthtf.tasks import RegistrationTask, SegmentationTask
from synthtf.training import TrainingPlan
from synthtf.training.workflow import make_maps

RECIPE = Recipe([RandomIntensity(), RandomNoise()])


@pytest.fixture(scope="module")
def labels():
    labels = np.zeros((16, 16), "int32")
    labels[4:13, 3:12], labels[6:10, 5:9] = 2, 3
    return labels


def plan_of(task=None, **options):
    task = task or SegmentationTask(UNetConfig(2, 2))
    return TrainingPlan(task=task, recipe=RECIPE, shape=(16, 16), seed=5, **options)


@pytest.fixture(scope="module")
def whole(labels, tmp_path_factory):
    """A buffer that tests may copy."""
    folder = tmp_path_factory.mktemp("stream") / "buffer"
    produce([labels], folder, plan_of(), ProducerOptions(8, shard_size=4))
    return folder


@pytest.fixture
def buffer(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "buffer")


def test_samples_are_those_of_their_keys(labels, buffer):
    plan = plan_of(batch_size=4)
    maps = make_maps([labels], None, plan)
    synthesis = plan.recipe.build((16, 16), [0, 2, 3])
    expected = {n: np.asarray(x) for n, x in synthesis.predict_on_batch(maps[0][0]).items()}
    (batch,) = next(read_batches(buffer, batch_size=4))
    assert set(batch) == {"image", "labels"}
    for name, values in expected.items():
        np.testing.assert_array_equal(batch[name], values)
    samples = read_samples(buffer, wait=0.1)
    assert [int(next(samples)["number"]) for _ in range(4)] == [4, 5, 6, 7]
    with pytest.raises(TimeoutError, match=r"no samples for 0\.1 s; start a producer"):
        next(samples)
    with pytest.raises(FileNotFoundError, match="the folder that `synthtf stream produce` fills"):
        next(read_samples(buffer / "nothing"))


def test_a_model_learns_from_them_as_from_label_maps(labels, buffer):
    plan = plan_of(batch_size=2)
    model = plan.task.make((16, 16), [0, 2, 3], 1.0, RECIPE)
    maps = make_maps([labels], None, plan)
    model.compile("sgd")
    expected = model.test_on_batch(maps[0][0])
    learner = model.on_samples()
    learner.compile("sgd")
    batches = read_batches(buffer, batch_size=2)
    found = learner.fit(batches, steps_per_epoch=1, epochs=1, verbose=0).history["loss"]
    assert found[0] == pytest.approx(float(expected[0]), rel=1e-5)
    assert learner.task_model is model.task_model and learner.run.task == "segmentation"
    assert float(model.test_on_batch(maps[0][0])[0]) != pytest.approx(float(expected[0]), rel=1e-5)


@pytest.mark.slow
def test_pairs_are_made_of_two_maps(labels, tmp_path):
    plan = plan_of(RegistrationTask())
    produce([labels, labels.T], tmp_path, plan, ProducerOptions(1, shard_size=1))
    (batch,) = next(read_batches(tmp_path))
    assert {"moving", "fixed"} <= set(batch) and batch["moving"].shape == (1, 16, 16, 1)


def test_other_samples_are_refused(labels, buffer):
    for change, name in (({"seed": 6}, "seed"), ({"shape": (32, 16)}, "shape")):
        plan = TrainingPlan(
            **{"task": plan_of().task, "recipe": RECIPE, "shape": (16, 16), "seed": 5, **change}
        )
        with pytest.raises(ValueError, match=f"`{name}` must be that of the samples in the buffer"):
            produce([labels], buffer, plan, ProducerOptions(1, shard_size=4))


def test_on_the_command_line(labels, tmp_path, capsys):
    write_volume(tmp_path / "map.nii.gz", labels, affine=np.diag([2.0, 2, 2, 1]))
    RECIPE.save(tmp_path / "recipe.json")
    words = ["--recipe", tmp_path / "recipe.json", "--shape", 16, 16, "--features", 2]
    made = ["stream", "produce", tmp_path / "map.nii.gz", "-o", tmp_path / "buffer", *words]
    assert main([str(word) for word in (*made, "--num", 2, "--shard-size", 1)]) == 0
    taken = ["stream", "consume", tmp_path / "buffer", "-o", tmp_path / "out", "--num", 2]
    assert main([str(word) for word in (*taken, "--wait", 0.1)]) == 0
    assert "2 samples written" in capsys.readouterr().out
    facts = json.loads((tmp_path / "buffer" / "stream.json").read_text())
    assert facts["maps"] == ["map"] and facts["spacing"] == [2.0, 2.0]
    image = nibabel.load(tmp_path / "out" / "000001_image.nii.gz")
    assert image.shape[:2] == (16, 16) and image.header.get_zooms()[0] == 2
    assert main([str(word) for word in (*taken, "--wait", 0.1)]) == 1
    assert "start a producer" in capsys.readouterr().err
