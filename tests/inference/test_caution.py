import types
from dataclasses import replace

import numpy as np
import pytest

from synthtf.data.label_table import LabelTable
from synthtf.inference.caution import doubtful_parts, unlike_training
from synthtf.inference.uncertainty import Spread

SHAPE = (10, 10, 10)


def posteriors(share, likeliest):
    """Of three classes: sure of the second, but for a share of the slices."""
    result = np.zeros((*SHAPE, 3), np.float32)
    result[..., 1] = 1
    result[: round(10 * share), ..., 1] = likeliest
    result[: round(10 * share), ..., ::2] = (1 - likeliest) / 2
    return result


@pytest.mark.parametrize(
    ("share", "likeliest", "said"),
    [
        (0, 1, []),
        (0.9, 0.9, []),
        (0.1, 0.4, []),
        (0.9, 0.4, ["uncertain in 90 % of the brain"]),
    ],
)
def test_uncertain(share, likeliest, said):
    assert doubtful_parts(posteriors(share, likeliest), np.ones(SHAPE, bool), None) == said


def test_only_the_brain_counts():
    inside = np.zeros(SHAPE, bool)
    assert doubtful_parts(posteriors(1, 0.4), inside, None) == []
    inside[9] = True
    assert doubtful_parts(posteriors(0.9, 0.4), inside, None) == []


@pytest.mark.parametrize(("slices", "words"), [(0, 0), (8, 1)])
def test_predictions_that_differ(slices, words):
    spread = Spread()
    for sign in (1, -1):
        difference = np.zeros(SHAPE, np.float32)
        difference[:slices] = sign
        spread.see(0, difference)
    said = doubtful_parts(posteriors(0, 1), np.ones(SHAPE, bool), spread)
    assert said == ["predictions differ in 80 % of the brain"] * words


def run(**shares):
    table = LabelTable.from_labels(range(6))
    table = replace(table, names=("background", "cortex", "putamen", "horn", "tail", "tip"))
    ids = dict(zip(table.names, table.ids, strict=True))
    return types.SimpleNamespace(
        table=table, volume_shares={ids[name]: ends for name, ends in shares.items()}
    )


def test_volumes_unlike_the_training_maps():
    known = run(cortex=(0.7, 0.8), putamen=(0.1, 0.2), horn=(0.0, 0.1))
    assert unlike_training(known, {1: 750.0, 2: 200.0, 3: 50.0, 4: 9e9}) == []
    assert unlike_training(known, {1: 150.0, 2: 800.0, 3: 50.0}) == [
        "cortex 4.7 times smaller than in the smallest training map",
        "putamen 4.0 times as large as in the largest training map",
    ]
    assert unlike_training(known, {1: 1000.0, 2: 0.0, 3: 0.0}) == ["putamen is missing"]


def test_no_more_than_a_few_are_named():
    small = dict.fromkeys(("putamen", "horn", "tail", "tip"), (0.1, 0.2))
    said = unlike_training(run(cortex=(0.1, 1.0), **small), {1: 1.0, 2: 0.0, 3: 0.0, 4: 0, 5: 0})
    assert len(said) == 4
    assert said[-1] == "1 more unlike the training maps"


def test_runs_that_know_no_shares_say_nothing():
    assert unlike_training(run(), {1: 5.0}) == []
    assert unlike_training(run(cortex=(0.5, 0.6)), {1: 0.0}) == []
