"""A training that begins with the weights of a network for other classes."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from synthtf.data.label_table import LabelTable
from synthtf.networks import UNetConfig
from synthtf.tasks import SegmentationTask

SHAPE = (16, 16)
ROWS = {
    0: ("background", None, 0),
    2: ("left white matter", 41, 2),
    3: ("left cortex", 42, 3),
    14: ("third ventricle", None, 14),
    25: ("left odd matter", 57, 2),
    41: ("right white matter", 2, 41),
    42: ("right cortex", 3, 42),
    57: ("right odd matter", 25, 41),
    77: ("lesion", None, 77),
}


def table_of(*labels, **outputs):
    """Rows of these labels; some count as others."""
    rows = {label: ROWS[label] for label in labels}
    counted = [outputs.get(f"_{v}", output) for v, (_, _, output) in rows.items()]
    names, partners, _ = zip(*rows.values(), strict=True)
    brain = tuple("yes" if v else "no" for v in rows)
    return LabelTable(tuple(rows), names, partners, tuple(counted), names, brain)


OLD = table_of(0, 2, 3, 14, 25, 41, 42, 57)
CONFIGS = {
    "plain": UNetConfig(features=4, levels=2, side_channel=False),
    "sides": UNetConfig(features=4, levels=2, side_channel=True),
    "mixture": UNetConfig(features=4, levels=2, side_channel=True, mixture_channels=1),
}


def make(table, config):
    model = SegmentationTask(config).make(SHAPE, table, recipe="tutorial")
    generator = np.random.default_rng(0)
    for weight in model.task_model.trainable_weights:
        weight.assign(generator.normal(0, 0.5, weight.shape))
    return model


def predict(model):
    image = np.random.default_rng(1).uniform(size=(1, *SHAPE, 1)).astype("float32")
    values = model.task_model.predict_on_batch(image)[0]
    return dict(zip(model.output_labels, np.moveaxis(values, -1, 0), strict=True))


@pytest.mark.parametrize("kind", ["plain", "sides"])
def test_an_added_label_changes_no_segmentation(kind):
    """Labels that are known stay in proportion; the new one is a fifth of what it comes from."""
    table = table_of(*ROWS, _25=77, _57=77)
    old, new = make(OLD, CONFIGS[kind]), make(table, CONFIGS[kind])
    SegmentationTask(CONFIGS[kind]).copy_weights(old.run, new.run)
    before, after = predict(old), predict(new)
    assert after.keys() == {*before, 77}
    rest = 1 - after.pop(77)
    for label, values in before.items():
        np.testing.assert_allclose(after[label] / rest, values, atol=1e-5)
    if kind == "sides":
        white = before[2] + before[41]
        np.testing.assert_allclose((1 - rest) / rest, white / 4, rtol=1e-3)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_label_of_nothing_known_is_nowhere_the_most_likely(kind):
    old, new = make(OLD, CONFIGS[kind]), make(table_of(*ROWS), CONFIGS[kind])
    SegmentationTask(CONFIGS[kind]).copy_weights(old.run, new.run)
    before, after = predict(old), predict(new)
    if kind != "mixture":  # which finds other intensities where there are more classes
        first, second = (np.stack([p[v] for v in before]).argmax(0) for p in (before, after))
        np.testing.assert_array_equal(first, second)
    assert (after[77] < np.max([after[v] for v in before], axis=0)).all()


def test_labels_may_be_fewer():
    config = CONFIGS["sides"]
    old, new = make(OLD, config), make(table_of(0, 2, 3, 41, 42), config)
    SegmentationTask(config).copy_weights(old.run, new.run)
    before, after = predict(old), predict(new)
    total = sum(before[label] for label in after)
    for label, values in after.items():
        np.testing.assert_allclose(values, before[label] / total, atol=1e-5)


def test_refuses_another_network():
    models = {name: make(OLD, config) for name, config in CONFIGS.items()}
    models["wider"] = make(OLD, dataclasses.replace(CONFIGS["sides"], features=6))
    for first, second in pairwise([*models, "plain", "mixture"]):
        with pytest.raises(ValueError, match="another network than the one to be trained"):
            SegmentationTask().copy_weights(models[first].run, models[second].run)
