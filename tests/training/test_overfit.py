"""Each fault that keeps a network from learning one sample by heart is named rightly."""

import csv

import keras
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data import LabelMaps, LabelTable
from synthtf.data.volume_writer import write_volume
from synthtf.layers import (
    AverageDown,
    MapLabels,
    RandomAffine,
    RandomFlip,
    RandomIntensity,
    RandomNoise,
)
from synthtf.synthesis import Recipe
from synthtf.tasks import segmentation
from synthtf.training import Schedule
from synthtf.training.overfit import look_at, overfit_one

SIDE = 16
MOVE = RandomAffine(translation=(-3, 3), rotation=20)
RECIPE = Recipe([MOVE, RandomIntensity(mean=(0, 1), std=0.01)])
SCHEDULE = Schedule(learning_rate=0.02)
TABLE = LabelTable.from_labels([0, 1, 2])


def anatomy():
    labels = np.zeros((SIDE, SIDE), "int32")
    labels[3:13, 3:12] = 1
    labels[5:10, 5:9] = 2
    return labels


def model_of(recipe=RECIPE, synthesis=None):
    """A segmentation by intensity alone, maybe with another synthesis than that of its recipe."""
    keras.utils.set_random_seed(1)
    image = keras.Input((None, None, 1))
    logits = keras.layers.Dense(3, name="logits")(keras.layers.Dense(16, "relu")(image))
    network = keras.Model(image, keras.layers.Softmax()(logits))
    model = segmentation((SIDE, SIDE), TABLE, 1.0, recipe, network=network, loss="dice")
    if synthesis is not None:
        model.synthesis = synthesis(model.synthesis)
    return model


def changed(**outputs):
    """A synthesis whose outputs are changed by functions of its inputs and outputs."""

    def make(synthesis):
        found = {name: f(synthesis.input, synthesis.output) for name, f in outputs.items()}
        return keras.Model(synthesis.input, {**synthesis.output, **found})

    return make


def maps():
    return LabelMaps([anatomy()], seed=2)


def fault_of(model):
    batch = maps().sample(0)[0]
    return look_at(
        model, batch, {name: np.asarray(x) for name, x in model.synthesis(batch).items()}
    )


def test_a_sound_sample_is_learnt():
    model = model_of()
    before = model.get_weights()
    found = overfit_one(model, maps(), SCHEDULE, steps=200)
    assert found.converged and not found.fault and len(found.losses) < 200
    assert found.losses[-1] < found.losses[0]
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_constant_images_are_named():
    constant = Recipe([MOVE, RandomIntensity(mean=0.5, std=0)])
    assert fault_of(model_of(constant))[0] == "image"
    noise = Recipe([MOVE, RandomIntensity(mean=0.5, std=0), RandomNoise(std=0.1)])
    assert fault_of(model_of(noise))[0] != "unmoved labels"


def test_targets_from_the_unmoved_labels_are_named():
    model = model_of(synthesis=changed(labels=lambda inputs, outputs: inputs["labels"]))
    fault, reason = fault_of(model)
    assert fault == "unmoved labels" and "before the recipe moved" in reason
    # Where nothing moves, there is nothing to be wrong.
    still = Recipe([RandomFlip(probability=0.5), RandomIntensity(std=0.01)])
    assert fault_of(model_of(still))[0] == ""


def test_lost_labels_are_named():
    lose = MapLabels({1: 1}, name="lose")
    model = model_of(synthesis=changed(labels=lambda inputs, outputs: lose(outputs["labels"])))
    fault, reason = fault_of(model)
    assert fault == "lost labels" and "lacks the labels 2," in reason
    other = MapLabels({1: 1, 2: 7}, name="other")
    model = model_of(synthesis=changed(labels=lambda inputs, outputs: other(outputs["labels"])))
    assert fault_of(model)[0] == "lost labels"


@pytest.mark.parametrize("rate, word", [(5e-4, "low"), (0.9, "high")])
def test_a_wrong_learning_rate_is_named(rate, word):
    found = overfit_one(model_of(), maps(), Schedule(learning_rate=rate, optimizer="adam"), 120)
    assert not found.converged
    assert found.fault == "learning rate" and f"too {word}" in found.reason


def test_the_command_says_it(tmp_path, capsys):
    write_volume(tmp_path / "map.nii.gz", anatomy(), affine=np.eye(4))
    RECIPE.save(tmp_path / "recipe.json")
    run = ["train", "segmentation", str(tmp_path / "map.nii.gz"), "-o", str(tmp_path / "one")]
    run += ["--features", "4", "--levels", "1", "--shape", "16", "16", "--overfit-one"]
    run += ["--learning-rate", "0.05"]
    assert main([*run, "--recipe", str(tmp_path / "recipe.json"), "--loss", "dice"]) == 0
    assert "the sample is learnt by heart" in capsys.readouterr().out
    with open(tmp_path / "one" / "overfit.csv", newline="") as stream:
        assert len(list(csv.DictReader(stream))) > 1
    assert (tmp_path / "one" / "overfit.png").is_file()
    Recipe([MOVE, RandomIntensity(mean=0.5, std=0)]).save(tmp_path / "flat.json")
    assert main([*run, "--recipe", str(tmp_path / "flat.json"), "--epochs", "1"]) == 1
    assert "image: the image is useless" in capsys.readouterr().out


def test_larger_voxels_are_looked_at_by_the_smaller_ones():
    larger = Recipe([*RECIPE, AverageDown(4)])
    assert fault_of(model_of(larger)) == ("", "")

    def unmoved(inputs, outputs):
        return inputs["labels"]

    model = model_of(larger, changed(fine_labels=unmoved))
    assert fault_of(model)[0] == "unmoved labels"
