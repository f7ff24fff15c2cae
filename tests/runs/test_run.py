"""A model that `fit` trained is a run, in memory and on disk."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from synthtf.data import LabelMaps, LabelTable, Volume
from synthtf.inference import segment
from synthtf.networks import UNetConfig, unet
from synthtf.runs import Run, as_run
from synthtf.tasks import segmentation

SHAPE = (16, 16, 16)
TABLE = LabelTable(
    ids=(0, 2, 41),
    names=("air", "Left-A", "Right-A"),
    partners=(None, 41, 2),
    outputs=(0, 2, 41),
    groups=("air", "matter", "matter"),
    brain=("no", "yes", "yes"),
)


@pytest.fixture(scope="module")
def model():
    """Trained for two steps."""
    labels = np.zeros(SHAPE, "int32")
    labels[3:8, 3:13, 4:12] = 2
    labels[8:13, 3:13, 4:12] = 41
    keras.utils.set_random_seed(1)
    made = segmentation(SHAPE, TABLE, 4.0, "tutorial", network=UNetConfig(2, 2), loss="dice")
    made.compile("adam")
    made.fit(LabelMaps([labels], num_batches=2, table=TABLE), verbose=0)
    return made


@pytest.fixture(scope="module")
def scan():
    image = np.random.default_rng(0).random((18, 14, 20)).astype("float32")
    return Volume(image, np.diag([4.0, 4.0, 4.0, 1.0]))


def labels_of(scan, model):
    return segment(scan, model, refine=False, cleaning=None).labels.data


def test_what_fit_trained_segments_as_does_its_folder(model, scan, tmp_path):
    expected = labels_of(scan, model)
    assert len(np.unique(expected)) > 1
    run = model.save_run(tmp_path / "run")
    for given in (run, tmp_path / "run", str(tmp_path / "run"), model.run):
        np.testing.assert_array_equal(labels_of(scan, given), expected)


def test_a_folder_holds_what_the_model_was_made_from(model, tmp_path):
    run = Run.load(model.save_run(tmp_path / "run").folder)
    assert run.table == model.run.table == TABLE and run.recipe == model.run.recipe
    assert (run.task, run.shape, run.spacing, run.multiple) == ("segmentation", SHAPE, (4,) * 3, 2)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts.pop("synthtf") and facts.pop("steps_done") == 2
    assert facts == model.run.metadata
    assert facts["network"] == UNetConfig(2, 2).to_dict() and facts["loss"] == "dice"


def test_a_file_of_the_whole_model_keeps_it(model, scan, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.run.metadata == {"synthtf": again.run.metadata["synthtf"], **model.run.metadata}
    assert again.run.table == TABLE and again.run.recipe == model.run.recipe
    np.testing.assert_array_equal(labels_of(scan, again), labels_of(scan, model))


def test_a_network_is_kept_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = segmentation((8, 8), [0, 1], recipe="tutorial", network=UNetConfig(2, 2))
    finally:
        keras.config.set_dtype_policy("float32")
    run = model.save_run(tmp_path / "run")
    assert {layer.compute_dtype for layer in run.task_model.layers} == {"float32"}
    for a, b in zip(model.task_model.get_weights(), run.task_model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_network_of_ones_own_is_described_by_what_it_takes(tmp_path):
    network = unet(2, 2, UNetConfig(2, 3))
    model = segmentation((24, 8), [0, 1], recipe="tutorial", network=network)
    assert model.task_model is network
    assert model.run.metadata["network"] is None and model.run.multiple == 4
    assert model.save_run(tmp_path / "run").task_model.count_params() == network.count_params()


def test_refuses_what_is_no_run(model):
    with pytest.raises(ValueError, match=r"`model` must be a training run.*Received: model="):
        as_run(model.task_model)
    bare = type(model)(model.synthesis, model.task_model, model.output_labels, "dice")
    with pytest.raises(ValueError, match="does not know its label table"):
        as_run(bare)
    with pytest.raises(ValueError, match="a model in memory: expected the option `limit`"):
        model.run.positive("limit")


def test_using_a_run_imports_no_task_and_no_layer():
    code = """
import sys
import synthtf.inference, synthtf.runs.run
from synthtf.runs import Run
run = Run.load("heads-2mm")
run.task_model, run.table, run.spacing
rooms = ("tasks", "layers", "training", "synthesis")
print([m for m in sys.modules if m.startswith("synthtf.") and m.split(".")[1] in rooms])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
