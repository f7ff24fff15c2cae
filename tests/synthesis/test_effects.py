"""Steps beyond the tutorial's, in a recipe."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from synthtf import layers
from synthtf.data.label_table import LabelTable
from synthtf.data.phantoms import head_phantom, phantom_table
from synthtf.data.shipped_models import shipped_recipes
from synthtf.layers import (
    AverageDown,
    RandomAffine,
    RandomAtrophy,
    RandomDistortion,
    RandomErosion,
    RandomFlip,
    RandomIntensity,
    RandomLesions,
    RandomShapes,
    RandomSpheres,
    RandomStructures,
    RandomSubdivision,
    RandomTissueMaps,
    RandomTransmitField,
    RandomVessels,
    RandomWarp,
    SignalModel,
)
from synthtf.layers.scene import Scene, region_labels
from synthtf.synthesis import Recipe, labels_to_pairs

SHAPES = {2: (40, 48), 3: (20, 24, 20)}
SPACING = {2: 5.0, 3: 10.0}
TABLE = phantom_table()


def make_batch(ndim, num=2):
    labels = head_phantom(0, SHAPES[ndim], SPACING[ndim])[None, ..., None]
    keys = np.array([[2, number] for number in range(num)], "int32")
    return {"labels": np.repeat(labels, num, 0).astype("int32"), "key": keys}


def synthesize(steps, ndim=2, table=TABLE, num=2):
    recipe, batch = Recipe.of(steps), make_batch(ndim, num)
    if recipe.needs_scans:
        batch["scan"] = batch["labels"].astype("float32")
    outputs = recipe.build(SHAPES[ndim], table, SPACING[ndim])(batch)
    return {name: ops.convert_to_numpy(x) for name, x in outputs.items()}


def flat(*steps, **arguments):
    """Steps on labels, then one intensity per label."""
    return synthesize([*steps, RandomIntensity(**arguments)])


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_runs_in_2d(name):
    """Those in 3D are compared with what is recorded."""
    out = synthesize(name)
    assert out["image"].shape[:-1] == (2, *SHAPES[2])
    assert np.isfinite(out["image"]).all()
    assert out["image"].min() >= 0 and out["image"].max() == 1
    table = Recipe.preset(name).table(TABLE, SHAPES[2], SPACING[2])
    assert set(np.unique(out["labels"])) <= set(table.outputs)
    assert len(np.unique(out["labels"])) > 1


@pytest.mark.parametrize("ndim", [2, 3])
def test_all_layers_run_together(ndim):
    """Each layer that can be a step, in an order that their types allow."""
    order = ("transform", "labels", "view", "parts", "maps", "image", "target", "number")
    kinds = [getattr(layers, name) for name in layers.__all__]
    needed = {"RandomChemicalShift": {"fat_labels": [258]}}
    others = ("RandomLayer", "SynthesisLayer", "AlignPairs", "MapLabels", "KeepDraw")
    steps = [
        kind(
            **needed.get(kind.__name__, {}),
            **({"probability": 0.7} if issubclass(kind, layers.RandomLayer) else {}),
        )
        for kind in kinds
        if kind.takes and kind.gives and kind.__name__ not in others
    ]
    steps.sort(key=lambda s: (order.index(s.gives[-1]), "image" in s.takes, s.name))
    late = (RandomDistortion, AverageDown)  # in this order
    steps.sort(key=lambda s: late.index(type(s)) if isinstance(s, late) else -1)
    recipe = Recipe(steps)
    assert len(recipe) > 35
    out = synthesize(recipe, ndim)
    assert np.isfinite(out["image"]).all()
    assert set(np.unique(out["labels"])) <= {*TABLE.outputs, 77}


def test_lesions_are_a_label_of_their_own():
    lesions = RandomLesions(num_lesions=8, size=(20, 40))
    out, plain = flat(lesions), flat()
    changed = out["labels"] != plain["labels"]
    assert changed.any() and set(out["labels"][changed]) == {77}
    assert set(plain["labels"][changed]) <= {2, 41}
    table = Recipe([lesions]).table(TABLE, SHAPES[2], SPACING[2])
    assert table.names[table.ids.index(77)] == "lesion" and table.select({0, 77}).outputs == (0, 77)


def test_parts_of_a_label_differ_and_the_target_does_not():
    out, plain = flat(RandomSubdivision(["WM"], num_parts=2, size=30)), flat()
    np.testing.assert_array_equal(out["labels"], plain["labels"])
    for label in (2, 41):
        here = plain["labels"] == label
        assert len(np.unique(plain["image"][0][here[0]])) == 1
        assert 1 < len(np.unique(out["image"][0][here[0]])) <= 3


def test_sides_share_their_parts():
    out = flat(RandomSubdivision(["WM"], num_parts=1, size=30), groups="sides")
    values = [np.unique(out["image"][0][out["labels"][0] == label]) for label in (2, 41)]
    assert len(values[0]) > 1
    np.testing.assert_array_equal(*values)


def test_structures_of_one_tissue_can_be_alike():
    out = flat(tissue_probability=1, tissue_spread=0)
    image, labels = out["image"][0], make_batch(2)["labels"][0]
    value = {label: image[labels == label][0] for label in np.unique(labels) if label}
    brain = [v for v in value if v in TABLE.brain_labels]
    tissue = {v: TABLE.groups[TABLE.ids.index(v)] for v in brain}
    for name in set(tissue.values()):
        assert np.ptp([value[v] for v in brain if tissue[v] == name]) < 1e-6
    outside = [value[v] for v in region_labels(TABLE, "outside") if v in value and v != 24]
    assert len(set(outside)) == len(outside) > 1


def test_any_region_can_be_eroded():
    out, plain = flat(RandomErosion(["ventricle"], distance=-6, roughness=0)), flat()
    ventricles = np.isin(plain["labels"], region_labels(TABLE, "ventricle"))
    changed = out["labels"] != plain["labels"]
    assert changed.any() and ventricles[changed].all()


def test_regions_are_removed_as_a_whole():
    out, plain = flat(RandomStructures(["left", "outside"], [0, 1])), flat()
    outside = np.isin(plain["labels"], region_labels(TABLE, "outside"))
    assert outside.any() and (out["labels"][outside] == 0).all()
    np.testing.assert_array_equal(out["labels"][~outside], plain["labels"][~outside])


def test_a_distortion_moves_the_target_along():
    out = synthesize([RandomIntensity(), RandomDistortion(20, control_points=3)])
    assert (out["labels"] != flat()["labels"]).any()
    # The image has its edges where the target has them.
    values = [np.ptp(out["image"][0][out["labels"][0] == label]) for label in (2, 41)]
    assert max(values) < 0.7


def test_the_signal_of_a_sequence_is_a_contrast():
    out = synthesize([RandomTissueMaps(), RandomTransmitField(), SignalModel("flair")])
    mean = {label: out["image"][out["labels"] == label].mean() for label in (2, 24)}
    assert mean[24] < 0.3 * mean[2]


def test_a_share_of_the_samples_shows_a_signal():
    signal = [RandomTissueMaps(), SignalModel("flair")]
    some = [RandomIntensity(), signal[0], SignalModel("flair", probability=0.5)]
    never, half, always = (
        synthesize(steps, num=12)["image"] for steps in ([RandomIntensity()], some, signal)
    )
    is_signal = np.array([np.allclose(*pair) for pair in zip(half, always, strict=True)])
    is_random = np.array([np.allclose(*pair) for pair in zip(half, never, strict=True)])
    assert (is_signal != is_random).all() and 0 < is_signal.sum() < 12


@pytest.mark.parametrize(
    "source, largest",
    [
        (RandomShapes(), 26),
        (RandomVessels(length=(60, 90), radius=(5, 8)), 1),
        (RandomSpheres(), None),
    ],
    ids=["shapes", "vessels", "spheres"],
)
def test_a_recipe_makes_its_own_labels(source, largest):
    recipe = Recipe([source])
    assert recipe.makes_labels and not Recipe.preset("heads").makes_labels
    model, blank = recipe.build((40, 48), spacing=5), np.zeros((2, 1, 1, 1), "int32")
    samples = model({"labels": blank, "key": make_batch(2)["key"]})
    out = {name: ops.convert_to_numpy(x) for name, x in samples.items()}
    assert "image" not in out
    table = recipe.table(None, (40, 48), 5)
    assert largest is None or max(table.ids) == largest
    assert set(np.unique(out["labels"])) <= set(table.ids)
    assert out["labels"].max() > 0 and (out["labels"][0] != out["labels"][1]).any()


def test_a_table_that_lists_all_labels_of_a_source_is_used():
    table = LabelTable.from_labels(range(27))
    merged = dataclasses.replace(table, outputs=tuple(min(i, 1) for i in table.ids))
    out = synthesize([RandomShapes(), RandomIntensity()], table=merged)
    assert set(np.unique(out["labels"])) <= {0, 1}


def test_pairs_take_no_source():
    with pytest.raises(ValueError, match="shapes=1"):
        labels_to_pairs(SHAPES[2], TABLE, [RandomShapes(), RandomIntensity()])


@pytest.mark.parametrize("late", [False, True])
def test_label_maps_are_interpolated_once(late):
    """What moves the label map later is composed with what moved it first.

    A shift by half a voxel twice is one by a voxel, which loses nothing; taken from the nearest
    voxel each time, it would be two.
    """
    half = {"rotation": 0, "scaling": 1, "shear": 0, "translation": (2.5, 2.5)}
    first, second = RandomAffine(**half), RandomAffine(**half, name="again")
    steps = [first, RandomIntensity(), second] if late else [first, second, RandomIntensity()]
    moved = synthesize(steps)["labels"][:, :-1, :-1]
    np.testing.assert_array_equal(moved, flat()["labels"][:, 1:, 1:])


def test_atrophy_is_composed_with_the_transforms():
    """Where it moves nothing, the label map is that of the transforms alone."""
    steps = [RandomAffine(), RandomWarp(), RandomFlip()]
    plain, still = flat(*steps), flat(*steps, RandomAtrophy(volume_change=1))
    assert np.mean(plain["labels"] != still["labels"]) < 2e-3
    grown = flat(*steps, RandomAtrophy(volume_change=2.5))
    ventricles = region_labels(TABLE, "ventricle")
    sizes = [np.isin(x["labels"], ventricles).sum() for x in (plain, grown)]
    assert sizes[1] > 1.3 * sizes[0]


def test_regions_by_name():
    assert set(region_labels(TABLE, "left")) == {2, 3, 4, 7, 8, 10, 11, 12, 13, 17, 28}
    assert set(region_labels(TABLE, "outside")) == {24, 123, 126, 165, 258, 259}
    assert region_labels(TABLE, "WM") == [2, 7, 41, 46]
    assert set(region_labels(TABLE, "cerebell")) == {7, 8, 46, 47}
    scene = Scene((8, 8), 1.0, TABLE)
    left, cerebellum = scene.label_groups(["left", "cerebell"])
    assert 7 not in left and 7 in cerebellum
    with pytest.raises(ValueError, match="'tail'; must be left, right"):
        region_labels(TABLE, "tail")
    with pytest.raises(ValueError, match="all labels of the region 'WM'"):
        scene.label_groups(["WM", "white matter"])
