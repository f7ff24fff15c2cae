import dataclasses

import keras
import numpy as np
import pytest
from keras import ops
from synthtf.synthesis.blocks import (
    Affine,
    Bias,
    Blur,
    FieldOfView,
    Flip,
    Gamma,
    Noise,
    Resolution,
    SkullStrip,
    Warp,
)

from synthtf.data import LabelTable
from synthtf.data.phantoms import head_phantom, phantom_table
from synthtf.synthesis import SynthesisConfig, labels_to_image

# Neither is a multiple of the vector unit, where the bits of a sample are most at risk.
SHAPES = {2: (31, 37), 3: (19, 23, 21)}
SPACING = {2: 6.0, 3: 9.0}
STILL = {
    "affine": Affine(translation=0, rotation=0, scaling=1, shear=0),
    "warp": Warp(strength=0),
    "field_of_view": FieldOfView(probability=0),
}
CLEAN = {
    "bias": Bias(probability=0),
    "blur": Blur(probability=0),
    "noise": Noise(probability=0),
    "gamma": Gamma(gamma=1),
    "resolution": Resolution(probability=0),
}


def everything():
    """A recipe in which every optional step is switched on."""
    config = SynthesisConfig.preset("heads")
    names = ("thick_slices", "cleared_slices", "skull_strip", "resolution", "field_of_view")
    return dataclasses.replace(
        config, **{n: dataclasses.replace(getattr(config, n), probability=0.5) for n in names}
    )


def batch(ndim, count=4, seed=0):
    maps = [head_phantom(n, SHAPES[ndim], SPACING[ndim]) for n in range(count)]
    keys = np.stack([np.full(count, seed), np.arange(count)], -1).astype("int32")
    return {"labels": np.stack(maps)[..., None], "key": keys}


def make(ndim, config):
    return labels_to_image(SHAPES[ndim], phantom_table(), config, SPACING[ndim])


def run(model, inputs):
    return {name: ops.convert_to_numpy(x) for name, x in model(inputs).items()}


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("config", [SynthesisConfig(), everything()], ids=["tutorial", "all"])
def test_keys_decide_everything(ndim, config, tmp_path):
    model, inputs = make(ndim, config), batch(ndim)
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
    model = make(2, SynthesisConfig())
    a, b = (run(model, batch(2, seed=seed))["image"] for seed in (0, 1))
    assert np.abs(a - b).mean() > 0.05


def test_a_still_recipe_keeps_the_labels_in_place():
    inputs = batch(3, 2)
    out = run(make(3, SynthesisConfig(**STILL, **CLEAN)), inputs)
    mapping = phantom_table().mapping
    expected = np.vectorize(mapping.get)(inputs["labels"])
    np.testing.assert_array_equal(out["labels"], expected)
    # One intensity per label: the image is piecewise constant.
    for label in np.unique(inputs["labels"][0]):
        assert np.ptp(out["image"][0][inputs["labels"][0] == label]) < 1e-6


def test_input_of_any_size_is_centred():
    config = SynthesisConfig(**STILL, **CLEAN)
    model = labels_to_image((8, 8), [0, 1, 2], config)
    labels = np.zeros((1, 13, 6, 1), "int32")
    labels[0, 6, 2] = 2
    out = run(model, {"labels": labels, "key": np.zeros((1, 2), "int32")})["labels"]
    assert np.argwhere(out[0, ..., 0] == 2).tolist() == [[4, 3]]


def test_flip_swaps_left_and_right():
    config = SynthesisConfig(**STILL, **CLEAN, flip=Flip(probability=1.0))
    inputs = batch(3, 1)
    out = run(make(3, config), inputs)["labels"][0, ..., 0]
    # The left of the head stays on the left, as another anatomy.
    left, right = (np.argwhere(out == label)[:, 0].mean() for label in (2, 41))
    assert left < right
    volume = {v: (inputs["labels"] == v).sum() for v in (2, 41)}
    assert (out == 2).sum() == volume[41] and (out == 41).sum() == volume[2]


def test_labels_of_one_side_alone_do_without_flips():
    rows = {"names": ("background", "hippocampus"), "sides": ("none", "left")}
    table = dataclasses.replace(LabelTable.from_labels([1]), **rows)
    with pytest.raises(ValueError, match=r"label 1 \(hippocampus\) has no right partner"):
        labels_to_image((8, 8), table, SynthesisConfig(flip=Flip(probability=0.5)))
    model = labels_to_image((8, 8), table, SynthesisConfig(**STILL, flip=Flip(probability=0)))
    labels = np.eye(8, dtype="int32")[None, ..., None]
    out = run(model, {"labels": labels, "key": np.zeros((1, 2), "int32")})["labels"]
    np.testing.assert_array_equal(out, labels)


def test_skull_strip_needs_a_brain():
    config = SynthesisConfig(skull_strip=SkullStrip(probability=0.5))
    with pytest.raises(ValueError, match="brain"):
        table = phantom_table()
        nothing = dataclasses.replace(table, brain=("no",) * len(table.ids))
        labels_to_image((8, 8), nothing, config)
    stripped = SynthesisConfig(**STILL, **CLEAN, skull_strip=SkullStrip(probability=1.0))
    inputs = batch(3, 1)
    out = run(make(3, stripped), inputs)
    assert (out["image"][inputs["labels"] == 258] == 0).all()
    assert out["image"][inputs["labels"] == 2].max() > 0


def test_the_same_physics_at_another_resolution():
    """At half the voxel size the head moves by as many mm, twice as many voxels."""
    config = SynthesisConfig(
        affine=Affine(translation=(24, 24), rotation=0, scaling=1, shear=0),
        warp=Warp(strength=0),
        field_of_view=FieldOfView(probability=0),
    )
    centres = []
    for size, spacing in ((24, 8.0), (48, 4.0)):
        labels = np.zeros((1, size, size, 1), "int32")
        labels[0, size // 2 - size // 8 : size // 2 + size // 8] = 1
        model = labels_to_image((size, size), [0, 1], config, spacing)
        moved = run(model, {"labels": labels, "key": np.zeros((1, 2), "int32")})["labels"]
        centres.append((np.argwhere(moved[0, ..., 0])[:, 0].mean() - (size - 1) / 2) * spacing)
    np.testing.assert_allclose(centres, -24, atol=1e-4)


@pytest.mark.parametrize("shape", [(8,), (8, 0), (8, 8, 8, 8), (8.5, 8), "ab"])
def test_shape_is_checked(shape):
    with pytest.raises(ValueError, match="`shape`"):
        labels_to_image(shape, [0, 1])


def test_spacing_is_checked():
    with pytest.raises(ValueError, match="`spacing`"):
        labels_to_image((8, 8), [0, 1], spacing=0)
    with pytest.raises(ValueError, match="one per axis"):
        labels_to_image((8, 8), [0, 1], spacing=(1, 1, 1))
