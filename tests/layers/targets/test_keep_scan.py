import numpy as np
import pytest

from synthtf import Recipe
from synthtf.layers import (
    KeepScan,
    RandomAffine,
    RandomAtrophy,
    RandomFlip,
    RandomIntensity,
    RandomLesions,
    RandomMask,
    RandomShapes,
    RandomWarp,
    RenderContrast,
)
from synthtf.synthesis.pairs import labels_to_pairs
from synthtf.testing import LayerContract, close, make_keys, run, to_arrays

SIZE = 14
MOVES = [RandomAffine(), RandomWarp(strength=(2, 4)), RandomFlip(probability=0.5)]


class TestKeepScan(LayerContract):
    layer = KeepScan
    test_arguments_change_something = None  # what it is for is to be moved by a recipe

    def test_identity_arguments(self, ndim):
        """The scan is the target."""
        inputs = self.make_inputs(ndim)
        close(run(KeepScan(), inputs), [inputs[0]])


def anatomy(ndim, size=SIZE, batch=4):
    generator = np.random.default_rng(ndim)
    coarse = generator.choice([0, 1, 2, 3], (batch, *(-(-size // 4),) * ndim))
    for axis in range(1, ndim + 1):
        coarse = coarse.repeat(4, axis)
    return coarse[(slice(None), *(slice(size),) * ndim)][..., None].astype("int32")


def synthesize(steps, labels, scan, table=(0, 1, 2, 3), shape=None):
    model = Recipe(steps).build(shape or (SIZE,) * (labels.ndim - 2), table)
    batch = {"labels": labels, "key": make_keys(len(labels)), "scan": scan.astype("float32")}
    return {name: to_arrays(tensor)[0] for name, tensor in model(batch).items()}


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("ndim", [2, 3])
def test_the_scan_is_moved_as_the_labels_wherever_it_is_kept(ndim, place):
    """A scan of the labels' own values shows them, but at borders, where it mixes two."""
    steps = [*MOVES, RandomIntensity()]
    steps.insert(place, KeepScan())
    labels = anatomy(ndim)
    found = synthesize(steps, labels, 5.0 * labels)
    moved = found["labels"]
    inside = np.ones(moved.shape, bool)
    for axis in range(1, ndim + 1):
        for shift in (-1, 1):
            inside &= np.roll(moved, shift, axis) == moved
    near = np.abs(found["real"] - 5 * moved) < 1e-3
    assert near.mean() > 0.2 and near[inside].mean() > 0.9
    np.testing.assert_array_less(np.abs(found["real"] - 5 * moved)[inside].mean(), 0.5)
    # It is the same, wherever it is kept: one interpolation from how it was read.
    first = synthesize([*MOVES, RandomIntensity(), KeepScan()], labels, 5.0 * labels)
    np.testing.assert_allclose(found["real"], first["real"], atol=1e-3)


@pytest.mark.parametrize("ndim", [2, 3])
def test_whole_shifts_and_mirrors_move_scan_and_labels_to_the_bit(ndim):
    moves = [
        RandomAffine(translation=3, rotation=0, scaling=1, shear=0),
        RandomFlip(probability=1, axis=1),
    ]
    labels = anatomy(ndim, size=20)
    for steps in ([KeepScan(), *moves], [moves[0], KeepScan(), moves[1]], [*moves, KeepScan()]):
        found = synthesize([*steps, RandomIntensity()], labels, labels)
        np.testing.assert_allclose(found["real"], found["labels"], atol=1e-4)


def test_sides_are_swapped_in_labels_and_mirrored_in_the_scan():
    labels = np.zeros((1, 8, 8, 1), "int32")
    labels[:, :3], labels[:, 5:] = 1, 2
    scan = np.arange(8, dtype="float32").reshape(1, 8, 1, 1) * np.ones((1, 1, 8, 1), "float32")
    steps = [RandomFlip(probability=1, pairs=[(1, 2)]), RandomIntensity(), KeepScan()]
    found = synthesize(steps, labels, scan, (0, 1, 2), (8, 8))
    np.testing.assert_array_equal(found["labels"], labels)
    np.testing.assert_allclose(found["real"], scan[:, ::-1], atol=1e-5)


@pytest.mark.parametrize("place", [0, 2])
def test_it_follows_a_step_that_moves_changed_labels(place):
    """Atrophy moves labels which lesions have changed: their trail is new, that of the scan not."""
    labels = np.zeros((1, 32, 32, 1), "int32")
    labels[:, 10:22, 10:22] = 1
    lesions = RandomLesions(within=[1], lesion_label=2, probability=0)
    steps = [lesions, RandomAtrophy([[1]], volume_change=2, decay=8), RandomIntensity()]
    steps.insert(place, KeepScan())
    found = synthesize(steps, labels, labels, (0, 1, 2), (32, 32))
    assert (found["labels"] == 1).sum() > 1.5 * labels.sum()
    assert ((found["real"] > 0.5) != (found["labels"] == 1)).mean() < 0.02


def test_a_target_loses_what_the_image_loses():
    labels = anatomy(2)
    steps = [RandomIntensity(), KeepScan(), RandomMask(labels=[1])]
    found = synthesize(steps, labels, labels + 1.0)
    assert not found["real"][labels != 1].any() and found["real"][labels == 1].all()


def test_only_a_recipe_with_the_step_takes_scans():
    assert set(Recipe([RandomIntensity()]).build((8, 8), [0, 1]).input) == {"labels", "key"}
    assert not Recipe([RandomIntensity(), RenderContrast()]).needs_scans
    recipe = Recipe([RandomIntensity(), KeepScan()])
    assert recipe.needs_scans and recipe.targets == ("real",)
    assert set(recipe.build((8, 8), [0, 1]).input) == {"labels", "key", "scan"}


def test_made_label_maps_and_pairs_have_no_scans():
    with pytest.raises(ValueError, match="the recipe makes have no scans"):
        Recipe([RandomShapes(4), RandomIntensity(), KeepScan()])
    with pytest.raises(ValueError, match="must not keep real scans"):
        labels_to_pairs((8, 8), [0, 1], [RandomIntensity(), KeepScan()])
