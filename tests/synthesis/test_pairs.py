import keras
import numpy as np
import pytest
from keras import ops

from synthtf.synthesis import Recipe, labels_to_pairs

STILL = Recipe.preset("tutorial").without("affine", "warp", "field_of_view")
SHAPES = {2: (24, 20), 3: (12, 16, 10)}


def batch(ndim, pairs=2):
    rng = np.random.default_rng(ndim)
    labels = rng.integers(0, 4, (2 * pairs, *SHAPES[ndim], 1)).astype("int32")
    key = np.stack([np.full(2 * pairs, 5), np.arange(2 * pairs)], 1).astype("int32")
    return {"labels": labels, "key": key}


def run(model, inputs):
    return {name: ops.convert_to_numpy(x) for name, x in model(inputs).items()}


@pytest.mark.parametrize("ndim", [2, 3])
def test_two_samples_make_a_pair(ndim):
    inputs = batch(ndim)
    single = run(Recipe.preset("tutorial").build(SHAPES[ndim], range(4)), inputs)
    pairs = run(labels_to_pairs(SHAPES[ndim], range(4), "tutorial"), inputs)
    for name, rows in (("moving", slice(0, None, 2)), ("fixed", slice(1, None, 2))):
        np.testing.assert_array_equal(pairs[name], single["image"][rows])
        np.testing.assert_array_equal(pairs[f"{name}_labels"], single["labels"][rows])
        assert pairs[f"{name}_labels"].dtype == "int32"
    assert not np.array_equal(pairs["moving"], pairs["fixed"])


@pytest.mark.parametrize("ndim", [2, 3])
def test_same_anatomy_uses_the_first_map(ndim):
    inputs = batch(ndim)
    pairs = run(labels_to_pairs(SHAPES[ndim], range(4), STILL, same_anatomy=True), inputs)
    np.testing.assert_array_equal(pairs["moving_labels"], inputs["labels"][::2])
    np.testing.assert_array_equal(pairs["fixed_labels"], inputs["labels"][::2])
    assert not np.array_equal(pairs["moving"], pairs["fixed"])
    moved = labels_to_pairs(SHAPES[ndim], range(4), "tutorial", spacing=8, same_anatomy=True)
    moved = run(moved, inputs)
    assert not np.array_equal(moved["moving_labels"], moved["fixed_labels"])


@pytest.mark.parametrize("ndim", [2, 3])
def test_some_pairs_show_shapes(ndim):
    """Anatomy here is label 2 everywhere, and shapes are of all labels."""
    inputs = batch(ndim, pairs=12)
    inputs["labels"] = np.full_like(inputs["labels"], 2)
    model = labels_to_pairs(SHAPES[ndim], [0, 2, 700, 40000], STILL, spacing=8, shapes=0.5)
    pairs = run(model, inputs)
    np.testing.assert_array_equal(pairs["moving_labels"], pairs["fixed_labels"])
    anatomy = [np.all(labels == 2) for labels in pairs["moving_labels"]]
    assert 1 <= sum(anatomy) <= 11
    assert set(np.unique(pairs["moving_labels"])) == {2, 700, 40000}
    assert not np.array_equal(pairs["moving"], pairs["fixed"])


def test_a_pair_does_not_depend_on_its_batch():
    model, inputs = labels_to_pairs(SHAPES[2], range(4), "tutorial"), batch(2, pairs=3)
    whole = run(model, inputs)
    alone = run(model, {name: x[2:4] for name, x in inputs.items()})
    for name, value in alone.items():
        np.testing.assert_array_equal(value, whole[name][1:2], err_msg=name)


def test_regularization_is_drawn_for_each_pair():
    model, inputs = labels_to_pairs((4, 4), range(4), "tutorial"), batch(2, pairs=100)
    inputs["labels"] = inputs["labels"][:, :4, :4]
    drawn = run(model, inputs)["regularization"]
    assert drawn.shape == (100, 1) and len(np.unique(drawn)) == 100
    assert drawn.min() >= 0 and drawn.max() <= 1
    assert abs(drawn.mean() - 0.5) < 4 * np.sqrt(1 / 12 / 100)


def test_saves_and_loads(tmp_path):
    model, inputs = labels_to_pairs(SHAPES[2], range(4), "tutorial", same_anatomy=True), batch(2)
    model.save(tmp_path / "pairs.keras")
    again = run(keras.saving.load_model(tmp_path / "pairs.keras"), inputs)
    for name, value in run(model, inputs).items():
        np.testing.assert_array_equal(again[name], value)


def ellipses(shape, matrix):
    """Five structures, moved about the centre; in 3D, elongated along the last axis."""
    ndim = len(shape)
    grid = np.moveaxis(np.indices(shape), 0, -1) - (np.array(shape) - 1) / 2
    back = np.linalg.inv(matrix)
    grid = grid @ back[:ndim, :ndim].T + back[:ndim, ndim]
    centres = np.random.default_rng(0).uniform(-9, 9, (5, ndim))
    labels = np.zeros(shape, "int32")
    for number, centre in enumerate(centres, start=1):
        labels[np.square(grid - centre).sum(-1) < 12] = number
    return labels


@pytest.mark.parametrize("ndim", [2, 3])
def test_aligned_pairs_overlap(ndim):
    """Both are moved halfway, so that their structures come to lie on each other."""
    shape = (40, 36, 38)[:ndim]
    turn = np.eye(ndim + 1)
    turn[:2, :2] = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]) * 1.1
    turn[:ndim, ndim] = [3, -2, 2.5][:ndim]
    maps = np.stack([ellipses(shape, turn), ellipses(shape, np.eye(ndim + 1))])
    inputs = {"labels": maps[..., None], "key": np.array([[1, 2], [1, 3]], "int32")}
    overlaps = []
    for aligned in (False, True):
        pairs = run(labels_to_pairs(shape, range(6), STILL, aligned=aligned), inputs)
        moving, fixed = (pairs[f"{name}_labels"] for name in ("moving", "fixed"))
        overlaps.append(np.mean((moving == fixed)[(moving > 0) | (fixed > 0)]))
    assert overlaps[1] > 0.65 > 0.4 > overlaps[0]
