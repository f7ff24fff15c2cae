"""Steps beyond the tutorial's, in a recipe."""

import dataclasses

import numpy as np
import pytest
from keras import ops
from synthtf.synthesis.recipes import recipe_table
from synthtf.synthesis.regions import disjoint_regions, region_labels

from synthtf.data.label_table import LabelTable
from synthtf.data.phantoms import head_phantom, phantom_table
from synthtf.data.shipped_models import shipped_recipes
from synthtf.synthesis import SynthesisConfig, blocks, labels_to_image, labels_to_pairs

SHAPES = {2: (40, 48), 3: (20, 24, 20)}
SPACING = {2: 5.0, 3: 10.0}
TABLE = phantom_table()
# Everything else off, so that what a step does stands alone.
STILL = {
    name: {"probability": 0}
    for name in ("affine", "field_of_view", "bias", "blur", "noise", "gamma", "resolution")
} | {"warp": {"strength": 0}}


def make_batch(ndim, num=2):
    labels = head_phantom(0, SHAPES[ndim], SPACING[ndim])[None, ..., None]
    keys = np.array([[2, number] for number in range(num)], "int32")
    return {"labels": np.repeat(labels, num, 0).astype("int32"), "key": keys}


def synthesize(config, ndim=2, table=TABLE, num=2):
    model = labels_to_image(SHAPES[ndim], table, config, SPACING[ndim])
    outputs = model(make_batch(ndim, num))
    return {name: ops.convert_to_numpy(x) for name, x in outputs.items()}


def only(**changes):
    return SynthesisConfig.from_dict({**STILL, **changes})


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_runs(name, ndim):
    config = SynthesisConfig.preset(name)
    out = synthesize(config, ndim)
    assert out["image"].shape == (2, *SHAPES[ndim], 1)
    assert np.isfinite(out["image"]).all()
    assert out["image"].min() >= 0 and out["image"].max() == 1
    table = recipe_table(TABLE, config, SHAPES[ndim], SPACING[ndim])
    assert set(np.unique(out["labels"])) <= set(table.outputs)
    assert len(np.unique(out["labels"])) > 1


@pytest.mark.parametrize("ndim", [2, 3])
def test_all_steps_run_together(ndim):
    config = SynthesisConfig()
    fields = dataclasses.fields(config)
    on = {
        f.name: dataclasses.replace(getattr(config, f.name), probability=0.7)
        for f in fields
        if hasattr(getattr(config, f.name), "probability")
    }
    on["chemical_shift"] = blocks.ChemicalShift(labels=(258,), probability=0.7)
    out = synthesize(dataclasses.replace(config, **on), ndim)
    assert np.isfinite(out["image"]).all()
    assert set(np.unique(out["labels"])) <= {*TABLE.outputs, 77}


def test_lesions_are_a_label_of_their_own():
    lesions = {"num_lesions": 8, "size": (20, 40), "probability": 1}
    out, plain = synthesize(only(lesions=lesions)), synthesize(only())
    changed = out["labels"] != plain["labels"]
    assert changed.any() and set(out["labels"][changed]) == {77}
    assert set(plain["labels"][changed]) <= {2, 41}
    table = recipe_table(TABLE, only(lesions=lesions), SHAPES[2], SPACING[2])
    assert table.names[table.ids.index(77)] == "lesion" and table.select({0, 77}).outputs == (0, 77)


def test_parts_of_a_label_differ_and_the_target_does_not():
    split = {"regions": ["WM"], "num_parts": 2, "size": 30, "probability": 1}
    out, plain = synthesize(only(subdivision=split)), synthesize(only())
    np.testing.assert_array_equal(out["labels"], plain["labels"])
    for label in (2, 41):
        here = plain["labels"] == label
        assert len(np.unique(plain["image"][0][here[0]])) == 1
        assert 1 < len(np.unique(out["image"][0][here[0]])) <= 3


def test_sides_share_their_parts():
    split = {"regions": ["WM"], "num_parts": 1, "size": 30, "probability": 1}
    out = synthesize(only(subdivision=split, intensity={"share": "sides"}))
    values = [np.unique(out["image"][0][out["labels"][0] == label]) for label in (2, 41)]
    assert len(values[0]) > 1
    np.testing.assert_array_equal(*values)


def test_structures_of_one_tissue_can_be_alike():
    block = {"tissue_probability": 1, "tissue_spread": 0}
    out = synthesize(only(intensity=block))
    image, labels = out["image"][0], make_batch(2)["labels"][0]
    value = {label: image[labels == label][0] for label in np.unique(labels) if label}
    brain = [v for v in value if v in TABLE.brain_labels]
    tissue = {v: TABLE.groups[TABLE.ids.index(v)] for v in brain}
    for name in set(tissue.values()):
        assert np.ptp([value[v] for v in brain if tissue[v] == name]) < 1e-6
    outside = [value[v] for v in region_labels(TABLE, "outside") if v in value and v != 24]
    assert len(set(outside)) == len(outside) > 1


def test_any_region_can_be_eroded():
    block = {"regions": ["ventricle"], "distance": -6, "roughness": 0, "probability": 1}
    out, plain = synthesize(only(erosion=block)), synthesize(only())
    ventricles = np.isin(plain["labels"], region_labels(TABLE, "ventricle"))
    changed = out["labels"] != plain["labels"]
    assert changed.any() and ventricles[changed].all()


def test_regions_are_removed_as_a_whole():
    block = {"regions": ["left", "outside"], "removal_probability": [0, 1], "probability": 1}
    out, plain = synthesize(only(structures=block)), synthesize(only())
    outside = np.isin(plain["labels"], region_labels(TABLE, "outside"))
    assert outside.any() and (out["labels"][outside] == 0).all()
    np.testing.assert_array_equal(out["labels"][~outside], plain["labels"][~outside])


def test_a_distortion_moves_the_target_along():
    block = {"shift": 20, "control_points": 3, "probability": 1}
    out, plain = synthesize(only(distortion=block)), synthesize(only())
    assert (out["labels"] != plain["labels"]).any()


def test_the_signal_of_a_sequence_replaces_random_contrast():
    flair = {"sequence": "flair", "probability": 1}
    model = labels_to_image(SHAPES[2], TABLE, only(signal=flair), SPACING[2])
    assert "intensity" not in {layer.name for layer in model.layers}
    out = synthesize(only(signal=flair))
    mean = {label: out["image"][out["labels"] == label].mean() for label in (2, 24)}
    assert mean[24] < 0.3 * mean[2]


def test_a_share_of_the_samples_shows_a_signal():
    def images(share):
        return synthesize(only(signal={"sequence": "flair", "probability": share}), num=12)["image"]

    never, half, always = (images(share) for share in (0, 0.5, 1))
    is_signal = np.array([np.allclose(*pair) for pair in zip(half, always, strict=True)])
    is_random = np.array([np.allclose(*pair) for pair in zip(half, never, strict=True)])
    assert (is_signal != is_random).all() and 0 < is_signal.sum() < 12


@pytest.mark.parametrize("kind, largest", [("shapes", 26), ("vessels", 1), ("spheres", None)])
def test_a_recipe_makes_its_own_labels(kind, largest):
    config = only(source={"kind": kind}, vessels={"length": (60, 90), "radius": (5, 8)})
    out = synthesize(config)
    table = recipe_table(TABLE, config, SHAPES[2], SPACING[2])
    assert largest is None or max(table.ids) == largest
    assert set(np.unique(out["labels"])) <= set(table.ids)
    assert out["labels"].max() > 0 and (out["labels"][0] != out["labels"][1]).any()


def test_a_table_that_lists_all_labels_of_a_source_is_used():
    table = LabelTable.from_labels(range(27))
    merged = dataclasses.replace(table, outputs=tuple(min(i, 1) for i in table.ids))
    out = synthesize(only(source={"kind": "shapes"}), table=merged)
    assert set(np.unique(out["labels"])) <= {0, 1}


def test_pairs_take_no_source():
    with pytest.raises(ValueError, match="shapes=1"):
        labels_to_pairs(SHAPES[2], TABLE, only(source={"kind": "shapes"}))


def test_regions_by_name():
    assert set(region_labels(TABLE, "left")) == {2, 3, 4, 7, 8, 10, 11, 12, 13, 17, 28}
    assert set(region_labels(TABLE, "outside")) == {24, 123, 126, 165, 258, 259}
    assert region_labels(TABLE, "WM") == [2, 7, 41, 46]
    assert set(region_labels(TABLE, "cerebell")) == {7, 8, 46, 47}
    left, cerebellum = disjoint_regions(TABLE, ["left", "cerebell"])
    assert 7 not in left and 7 in cerebellum
    with pytest.raises(ValueError, match="'tail'; expected left, right"):
        region_labels(TABLE, "tail")
    with pytest.raises(ValueError, match="all labels of the region 'WM'"):
        disjoint_regions(TABLE, ["WM", "white matter"])
