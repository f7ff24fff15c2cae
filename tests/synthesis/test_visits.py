from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelTable
from synthtf.layers import (
    KeepScan,
    RandomAffine,
    RandomAtrophy,
    RandomErosion,
    RandomIntensity,
    RandomLesions,
    RandomNoise,
    RandomWarp,
)
from synthtf.synthesis import labels_to_visits, region_outputs

SIZE = 24
ANATOMY = [RandomWarp(strength=2)]
CHANGES = [
    RandomAtrophy([4], volume_change=1.6, decay=6),
    RandomLesions(within=[2], num_lesions=(1, 3), size=(3, 6), name="new_lesions"),
]
SCANS = [RandomIntensity(std=0), RandomAffine(rotation=(-4, 4), name="misalignment")]


def batch(ndim, number=3):
    labels = np.zeros((number, *(SIZE,) * ndim, 1), "int32")
    middle = (slice(None), *(slice(9, 15),) * ndim)
    labels[(slice(None), *(slice(2, -2),) * ndim)] = 2
    labels[middle] = 4
    key = np.stack([np.full(number, 5), np.arange(number)], 1).astype("int32")
    return {"labels": labels, "key": key}


def make(ndim=2, steps=(*ANATOMY, *CHANGES, *SCANS), **options):
    options = {"regions": [4, "lesion"], "between": ("atrophy", "new_lesions")} | options
    return labels_to_visits((SIZE,) * ndim, [0, 2, 4], list(steps), **options)


def run(model, inputs):
    return {name: ops.convert_to_numpy(x) for name, x in model(inputs).items()}


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_changes_is_what_happens_between_the_visits(ndim):
    """The change added to the first visit gives regions that grow and lesions that come."""
    inputs = batch(ndim)
    found = run(make(ndim), inputs)
    change, labels = found["change"], found["labels"][..., 0]
    assert found["image"].shape == change.shape == (3, *(SIZE,) * ndim, 2)
    assert set(np.unique(change)) <= {-1, 0, 1}
    axes = tuple(range(1, ndim + 1))
    moved = ops.convert_to_numpy(CHANGES[0](found["labels"], key=inputs["key"])[0])[..., 0]
    np.testing.assert_array_equal(change[..., 0], (moved == 4) * 1.0 - (labels == 4))
    assert np.all(change[..., 0].sum(axes) > 0)
    np.testing.assert_array_equal(
        change[..., 1], (found["later_labels"][..., 0] == 77) * 1.0 - (labels == 77)
    )
    assert not (labels == 77).any() and np.all(change[..., 1].sum(axes) > 0)


def test_a_part_of_a_region_that_counts_as_something_else_is_no_part_of_it():
    """Old white matter that looks like a lesion and counts as white matter is none."""
    table = LabelTable.from_labels([0, 2, 4, 5, 25, 77])
    names = ("background", "white matter", "ventricle", "old ventricle", "lesion-like", "lesion")
    table = replace(table, names=names, outputs=(0, 2, 4, 4, 2, 77))
    assert region_outputs(["ventricle", "lesion"], table, (8, 8)) == [(4,), (77,)]
    with pytest.raises(ValueError, match="counts as something else"):
        region_outputs(["old"], table, (8, 8))


@pytest.mark.parametrize("ndim", [2, 3])
def test_position_contrast_and_noise_are_no_change(ndim):
    still = [
        RandomErosion([4], distance=0, roughness=0, name="growth"),
        *SCANS,
        RandomNoise(std=0.2),
    ]
    found = run(make(ndim, [*ANATOMY, *still], between=["growth"], regions=[4]), batch(ndim))
    np.testing.assert_array_equal(found["change"], 0)
    first, second = found["image"][..., 0], found["image"][..., 1]
    assert np.all(np.abs(first - second).mean(tuple(range(1, ndim + 1))) > 0.03)


def test_scans_of_one_protocol_differ_in_all_but_their_contrast():
    still = RandomErosion([4], distance=0, roughness=0, name="growth")
    steps = [*ANATOMY, still, RandomIntensity(std=0), RandomNoise(std=0.02)]
    found = run(
        make(2, steps, between=["growth"], regions=[4], same_contrast=0.5), batch(2, number=24)
    )
    difference = np.abs(found["image"][..., 0] - found["image"][..., 1]).mean((1, 2))
    alike = difference < 0.06
    assert 4 <= alike.sum() <= 20 and difference.min() > 0.005


def test_a_sample_depends_on_its_key_alone_and_the_model_is_kept():
    model, inputs = make(), batch(2)
    found = run(model, inputs)
    one = run(model, {name: x[1:2] for name, x in inputs.items()})
    again = run(keras.Model.from_config(model.get_config()), inputs)
    for name, x in found.items():
        np.testing.assert_array_equal(one[name], x[1:2])
        np.testing.assert_array_equal(again[name], x)


@pytest.mark.parametrize(
    ("steps", "between", "message"),
    [
        ([*ANATOMY, *CHANGES, *SCANS], ["atrophy", "misalignment"], "`between` must be names of n"),
        ([*ANATOMY, *CHANGES, *SCANS], [], "`between` must be names of neighbouring"),
        ([*ANATOMY, *CHANGES, *SCANS], ["growth"], "no step `growth`"),
        ([*CHANGES, *SCANS], ["atrophy"], "`recipe` must begin with a step"),
        ([*ANATOMY, *SCANS, RandomNoise()], ["noise"], "must make no image before"),
        ([*ANATOMY, *CHANGES, *SCANS, KeepScan()], ["atrophy"], "take no real scans"),
    ],
)
def test_a_recipe_without_these_parts_is_refused(steps, between, message):
    with pytest.raises(ValueError, match=message):
        make(2, steps, between=between, regions=[4])
