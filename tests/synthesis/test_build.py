import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelTable
from synthtf.data.phantoms import head_phantom, phantom_table
from synthtf.layers import (
    AverageDown,
    KeepImage,
    RandomAffine,
    RandomBlur,
    RandomDistortion,
    RandomFieldOfView,
    RandomFlip,
    RandomIntensity,
    RandomMask,
    RandomResolution,
    RandomSlices,
    RandomSubdivision,
    RandomWarp,
)
from synthtf.synthesis import Recipe, random_steps

# Neither is a multiple of the vector unit, where the bits of a sample are most at risk.
SHAPES = {2: (31, 37), 3: (19, 23, 21)}
SPACING = {2: 6.0, 3: 9.0}
# One intensity per label, and nothing else.
FLAT = [RandomIntensity()]


def everything():
    """A recipe in which every step acts on half of the samples."""
    recipe = Recipe.preset("synthstrip")
    for step in ("field_of_view", "resolution", "cleared_slices", "skull_strip", "flip"):
        recipe = recipe.change(step, probability=0.5)
    thick = RandomResolution((2, 6), "thick-slice", name="thick_slices", probability=0.5)
    return Recipe([*recipe, thick])


def batch(ndim, count=4, seed=0):
    maps = [head_phantom(n, SHAPES[ndim], SPACING[ndim]) for n in range(count)]
    keys = np.stack([np.full(count, seed), np.arange(count)], -1).astype("int32")
    return {"labels": np.stack(maps)[..., None], "key": keys}


def make(ndim, recipe):
    return Recipe.of(recipe).build(SHAPES[ndim], phantom_table(), SPACING[ndim])


def run(model, inputs):
    return {name: ops.convert_to_numpy(x) for name, x in model(inputs).items()}


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(
    "recipe", [Recipe.preset("tutorial"), everything()], ids=["tutorial", "all"]
)
def test_keys_decide_everything(ndim, recipe, tmp_path):
    model, inputs = make(ndim, recipe), batch(ndim)
    whole = run(model, inputs)
    assert whole["image"].shape == (4, *SHAPES[ndim], 1) and whole["image"].dtype == "float32"
    assert whole["labels"].dtype == "int32"
    assert np.isfinite(whole["image"]).all()
    np.testing.assert_allclose(whole["image"].min(axis=(*range(1, ndim + 2),)), 0, atol=1e-6)
    np.testing.assert_allclose(whole["image"].max(axis=(*range(1, ndim + 2),)), 1, atol=1e-6)
    assert set(np.unique(whole["labels"])) <= set(phantom_table().output_labels)

    # A batch of one is its row of the batch, to the bit: a sample is replayed from its key.
    # XLA, hence JAX, may sum in another order for another batch size.
    alone = run(model, {name: x[2:3] for name, x in inputs.items()})
    np.testing.assert_array_equal(alone["labels"][0], whole["labels"][2])
    tolerance = 1e-6 if keras.backend.backend() == "jax" else 0
    np.testing.assert_allclose(alone["image"][0], whole["image"][2], rtol=0, atol=tolerance)

    # Changing one sample changes no other.
    other = {"labels": inputs["labels"].copy(), "key": inputs["key"].copy()}
    other["labels"][0] = 0
    other["key"][0] = 99
    changed = run(model, other)
    assert not np.array_equal(changed["image"][0], whole["image"][0])
    np.testing.assert_array_equal(changed["image"][1:], whole["image"][1:])

    if ndim == 2:
        model.save(tmp_path / "synthesis.keras")
        again = run(keras.models.load_model(tmp_path / "synthesis.keras"), inputs)
        np.testing.assert_array_equal(again["image"], whole["image"])


def test_another_seed_gives_another_image():
    model = make(2, "tutorial")
    a, b = (run(model, batch(2, seed=seed))["image"] for seed in (0, 1))
    assert np.abs(a - b).mean() > 0.05


def test_a_still_recipe_keeps_the_labels_in_place():
    inputs = batch(3, 2)
    out = run(make(3, FLAT), inputs)
    mapping = phantom_table().mapping
    expected = np.vectorize(mapping.get)(inputs["labels"])
    np.testing.assert_array_equal(out["labels"], expected)
    # One intensity per label: the image is piecewise constant.
    for label in np.unique(inputs["labels"][0]):
        assert np.ptp(out["image"][0][inputs["labels"][0] == label]) < 1e-6


def test_input_of_any_size_is_centred():
    model = Recipe(FLAT).build((8, 8), [0, 1, 2])
    labels = np.zeros((1, 13, 6, 1), "int32")
    labels[0, 6, 2] = 2
    out = run(model, {"labels": labels, "key": np.zeros((1, 2), "int32")})["labels"]
    assert np.argwhere(out[0, ..., 0] == 2).tolist() == [[4, 3]]


def test_flip_swaps_left_and_right():
    inputs = batch(3, 1)
    out = run(make(3, [RandomFlip(probability=1), *FLAT]), inputs)["labels"][0, ..., 0]
    # The left of the head stays on the left, as another anatomy.
    left, right = (np.argwhere(out == label)[:, 0].mean() for label in (2, 41))
    assert left < right
    volume = {v: (inputs["labels"] == v).sum() for v in (2, 41)}
    assert (out == 2).sum() == volume[41] and (out == 41).sum() == volume[2]


def test_labels_of_one_side_alone_do_without_flips():
    rows = {"names": ("background", "hippocampus"), "sides": ("none", "left")}
    table = dataclasses.replace(LabelTable.from_labels([1]), **rows)
    with pytest.raises(ValueError, match=r"label 1 \(hippocampus\) has no right partner"):
        Recipe([RandomFlip(), *FLAT]).build((8, 8), table)
    model = Recipe(FLAT).build((8, 8), table)
    labels = np.eye(8, dtype="int32")[None, ..., None]
    out = run(model, {"labels": labels, "key": np.zeros((1, 2), "int32")})["labels"]
    np.testing.assert_array_equal(out, labels)


def test_skull_strip_needs_a_brain():
    recipe = Recipe([*FLAT, RandomMask()])
    table = phantom_table()
    nothing = dataclasses.replace(table, brain=("no",) * len(table.ids))
    with pytest.raises(ValueError, match="`skull_strip` needs to know the brain"):
        recipe.build((8, 8), nothing)
    inputs = batch(3, 1)
    out = run(make(3, recipe), inputs)
    assert (out["image"][inputs["labels"] == 258] == 0).all()
    assert out["image"][inputs["labels"] == 2].max() > 0


def test_the_same_physics_at_another_resolution():
    """At half the voxel size the head moves by as many mm, twice as many voxels."""
    recipe = Recipe([RandomAffine((24, 24), rotation=0, scaling=1, shear=0), *FLAT])
    centres = []
    for size, spacing in ((24, 8.0), (48, 4.0)):
        labels = np.zeros((1, size, size, 1), "int32")
        labels[0, size // 2 - size // 8 : size // 2 + size // 8] = 1
        model = recipe.build((size, size), [0, 1], spacing)
        moved = run(model, {"labels": labels, "key": np.zeros((1, 2), "int32")})["labels"]
        centres.append((np.argwhere(moved[0, ..., 0])[:, 0].mean() - (size - 1) / 2) * spacing)
    np.testing.assert_allclose(centres, -24, atol=1e-4)


@pytest.mark.parametrize("shape", [(8,), (8, 0), (8, 8, 8, 8), (8.5, 8), "ab"])
def test_shape_is_checked(shape):
    with pytest.raises(ValueError, match="`shape`"):
        Recipe(FLAT).build(shape, [0, 1])


def test_spacing_is_checked():
    with pytest.raises(ValueError, match="`spacing`"):
        Recipe(FLAT).build((8, 8), [0, 1], spacing=0)
    with pytest.raises(ValueError, match="one per axis"):
        Recipe(FLAT).build((8, 8), [0, 1], spacing=(1, 1, 1))


def test_labels_are_needed_unless_they_are_made():
    with pytest.raises(ValueError, match="`labels` must be the labels that occur"):
        Recipe(FLAT).build((8, 8))


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_flip_in_the_transform_is_a_flip_of_what_was_moved(ndim):
    """Wherever it stands among the transforms."""
    affine, warp, flip = RandomAffine(), RandomWarp(), RandomFlip(probability=1)
    inputs = batch(ndim, 2)
    moved, flipped = (
        run(make(ndim, [affine, warp, *more, RandomIntensity()]), inputs)["labels"]
        for more in ([], [flip])
    )
    expected = RandomFlip(pairs=phantom_table().flip_pairs, probability=1)(moved)
    np.testing.assert_array_equal(flipped, ops.convert_to_numpy(expected))
    first = run(make(ndim, [flip, affine, RandomIntensity()]), inputs)["labels"]
    other = run(make(ndim, [affine, RandomIntensity()]), {
        "labels": ops.convert_to_numpy(RandomFlip(pairs=phantom_table().flip_pairs, probability=1)(
            inputs["labels"])), "key": inputs["key"]})["labels"]  # fmt: skip
    assert np.mean(first != other) < 1e-3


def test_geometry_behind_the_image_moves_both():
    """An image of one intensity per label stays one, as both are moved alike."""
    shift = RandomAffine((24, 24), rotation=0, scaling=1, shear=0)
    inputs = batch(2, 2)
    flat = RandomIntensity(background_probability=0)
    late, early = (run(make(2, steps), inputs) for steps in ([flat, shift], [shift, flat]))
    np.testing.assert_array_equal(late["labels"], early["labels"])
    here = early["labels"] > 0
    np.testing.assert_allclose(late["image"][here], early["image"][here], atol=1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_linear_neighbours_are_one_product(ndim):
    """It gives what they give one after the other, also where one of them is left out."""
    slices = RandomSlices((12, 20), probability=0.5)
    linear = [RandomBlur((0, 9)), slices, RandomResolution((6, 24), probability=0.5)]
    model, inputs = make(ndim, [*FLAT, *linear]), batch(ndim)
    assert "blur_and_slices_and_resolution" in {layer.name for layer in model.layers}
    assert [step.name for step, _ in random_steps(model)][-3:] == ["blur", "slices", "resolution"]
    image = run(make(ndim, FLAT), inputs)["image"]
    for step in Recipe([*FLAT, *linear]).steps[1:]:
        config = {**step.get_config(), "spacing": SPACING[ndim]}
        image = type(step).from_config(config)(image, key=inputs["key"])
    image = ops.convert_to_numpy(image)
    low, high = (f(image, axis=(*range(1, ndim + 2),), keepdims=True) for f in (np.min, np.max))
    np.testing.assert_allclose(
        run(model, inputs)["image"], (image - low) / (high - low), rtol=0, atol=1e-5
    )


def test_the_target_is_cropped_only_if_asked():
    inputs = batch(2, 2)
    crop = RandomFieldOfView(0.5, probability=1)
    kept, cropped = (
        run(make(2, [step, *FLAT]), inputs)
        for step in (crop, RandomFieldOfView(0.5, probability=1, labels=True))
    )
    np.testing.assert_array_equal(kept["image"], cropped["image"])
    assert (kept["labels"] > 0).sum() > (cropped["labels"] > 0).sum()


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("divided", [False, True])
def test_images_do_not_show_where_one_parcel_ends(ndim, divided):
    table = LabelTable.from_labels([1, 2, 3])
    table = dataclasses.replace(table, structures=(None, "cortex", "cortex", None))
    labels = np.zeros((1, *(12,) * ndim, 1), "int32")
    labels[:, 2:6], labels[:, 6:10], labels[:, 10:] = 1, 2, 3
    inputs = {"labels": labels, "key": np.array([[0, 1]], "int32")}
    flat = RandomIntensity(background_probability=0)
    recipe = Recipe([RandomSubdivision(size=2), flat] if divided else [flat])
    found = run(recipe.build(labels.shape[1:-1], table, 1.0), inputs)
    np.testing.assert_array_equal(found["labels"], labels)
    # The image is that of a cortex without parcels.
    whole = {**inputs, "labels": np.where(labels == 2, 1, labels)}
    expected = run(recipe.build(labels.shape[1:-1], table, 1.0), whole)
    np.testing.assert_array_equal(found["image"], expected["image"])
    assert len(np.unique(found["image"])) > 2


@pytest.mark.parametrize("ndim", [2, 3])
def test_larger_voxels_average_what_was_made_of_smaller_ones(ndim):
    shape, table = (16, 20, 12)[:ndim], phantom_table()
    fine = [RandomAffine(), RandomIntensity(), KeepImage(name="clean")]
    recipe = Recipe([*fine, AverageDown(2), RandomBlur(std=3)])
    labels = np.stack([head_phantom(n, shape, 12.0) for n in range(2)])[..., None]
    inputs = {"labels": labels, "key": np.array([[0, 1], [0, 2]], "int32")}
    model = recipe.build(shape, table, 3.0)
    found, before = run(model, inputs), run(Recipe(fine).build(shape, table, 3.0), inputs)
    np.testing.assert_array_equal(found["fine_labels"], before["labels"])
    clean, majority = (
        ops.convert_to_numpy(AverageDown(2)(before[name])) for name in ("clean", "labels")
    )
    np.testing.assert_allclose(found["clean"], clean, atol=1e-6)
    # Labels that count as one in the target had votes of their own.
    assert np.mean(found["labels"] == majority) > 0.95
    assert found["image"].shape == found["labels"].shape == (2, *(n // 2 for n in shape), 1)
    blur = next(step for step, _ in random_steps(model) if step.name == "blur")
    assert blur.spacing == (6.0,) * ndim
    assert recipe.fine().names == ("affine", "intensity", "clean", "blur")
    assert recipe.coarsening == 2 and "voxels of 2 times the size" in recipe.describe()


@pytest.mark.parametrize(
    "step", [RandomResolution(labels=True), RandomSubdivision(), RandomDistortion(), RandomAffine()]
)
def test_no_labels_change_once_they_are_shares(step):
    with pytest.raises(ValueError, match="must come before `average_down`"):
        Recipe([RandomIntensity(), AverageDown(), step])


def test_blocks_fit_the_shape():
    with pytest.raises(ValueError, match="average_down: each spatial axis must be a multiple of 3"):
        Recipe([RandomIntensity(), AverageDown(3)]).build((12, 16), [0, 1])
