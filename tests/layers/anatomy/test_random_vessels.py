import keras
import numpy as np
import pytest
from scipy import ndimage

from synthtf.layers import RandomVessels
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomVessels(RandomLayerContract):
    layer = RandomVessels
    kind = "labels"
    arguments = {"num_trees": (1, 3), "radius": (0.5, 1), "length": (4, 6), "num_levels": 2}
    variants = [{"label_by": "tree", "spacing": 2.0}, {"label_by": "level", "tortuosity": 0}]
    identity_arguments = {"probability": 0}
    invalid = [
        ({"num_trees": (1, 2.5)}, "must be whole numbers"),
        ({"num_trees": 0}, "`num_trees` must allow at least one"),
        ({"num_levels": 0}, "`num_levels` must lie in"),
        ({"num_levels": 1.5}, "`num_levels` must be a whole number"),
        ({"num_levels": (2, 5)}, "`num_levels` must be one number"),
        ({"radius": (2, 1)}, "low <= high"),
        ({"length": -1}, "`length` must lie in"),
        ({"tortuosity": -1}, "`tortuosity` must lie in"),
        ({"label_by": "branch"}, "`label_by` must be one of"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def sample(layer, shape, num=1):
    """Draws as arrays."""
    draws = layer.sample(make_keys(num), (num, *shape, 1))
    return {k: to_arrays(x)[0] for k, x in draws.items()}


def apply(layer, draws, shape):
    canvas = np.zeros((len(draws["root"]), *shape, 1), "int32")
    return to_arrays(layer.apply(canvas, draws))[0][..., 0]


def lines(layer, draws, shape):
    num = len(draws["root"])
    return [tuple(to_arrays(x)) for x in layer.centre_lines(draws, (num, *shape, 1))]


@pytest.mark.parametrize("ndim", [2, 3])
def test_murrays_laws(ndim):
    """Flow and the balance of forces at each fork: of `r³`, and of `r² u`."""
    layer = RandomVessels(4, (1, 3), (20, 30), 4, tortuosity=0)
    made = lines(layer, sample(layer, (64,) * ndim, num=3), (64,) * ndim)
    directions = []
    for points, _ in made:
        along = np.diff(points, axis=2)
        length = np.linalg.norm(along, axis=-1, keepdims=True)
        np.testing.assert_allclose(
            along / length, (along / length)[:, :, :1] + 0 * along, atol=1e-3
        )
        step = points[:, :, -1] - points[:, :, 0]
        directions.append(step / np.linalg.norm(step, axis=-1, keepdims=True))
    for level in range(1, 4):
        (before, parent), (after, child) = made[level - 1 : level + 1]
        child = child.reshape(3, -1, 2)
        np.testing.assert_allclose(np.sum(child**3, -1), parent**3, rtol=1e-4)
        share = child**3 / parent[..., None] ** 3
        assert 0.2 <= share.min() < 0.4 and 0.6 < share.max() <= 0.8001
        force = child[..., None] ** 2 * directions[level].reshape(3, -1, 2, ndim)
        expected = parent[..., None] ** 2 * directions[level - 1]
        np.testing.assert_allclose(np.sum(force, 2), expected, atol=3e-3)
        starts = after[:, :, 0].reshape(3, -1, 2, ndim)
        np.testing.assert_allclose(starts, before[:, :, -1:] + 0 * starts, atol=1e-4)
        # Lengths are in proportion to radii.
        length = np.linalg.norm(after[:, :, -1] - after[:, :, 0], axis=-1) / made[level][1]
        length = length * np.repeat(made[0][1], 2**level, axis=1)
        assert (length >= 20 - 1e-2).all() and (length <= 30 + 1e-2).all()


def straight(shape, spacing, radius):
    """One straight vessel through the middle, along the first axis."""
    layer = RandomVessels(1, radius, 40, num_levels=1, tortuosity=0, spacing=spacing)
    draws = sample(layer, shape)
    draws["root"] = np.full_like(draws["root"], 0.5)
    draws["direction"] = np.eye(len(shape), dtype="float32")[:1][None]
    return apply(layer, draws, shape)[0]


@pytest.mark.parametrize("spacing", [1.0, 0.5])
def test_cross_section_and_length(spacing):
    radius = 5.3
    disc = straight((101, 41, 41), spacing, radius)[60]
    np.testing.assert_allclose(disc.sum() * spacing**2, np.pi * radius**2, rtol=0.05)
    grid = (np.stack(np.indices((41, 41)), -1) - 20) * spacing
    distance = np.linalg.norm(grid, axis=-1)
    assert disc[distance < radius - 0.1].all() and not disc[distance > radius].any()
    line = straight((121, 41), spacing, radius)[:, 20]
    inside = (np.flatnonzero(line) - 60) * spacing
    assert inside[0] == pytest.approx(-radius, abs=spacing)
    assert inside[-1] == pytest.approx(min(40 + radius, 60 * spacing), abs=spacing)


def test_thin_vessels_are_whole():
    """However thin, a tree is one piece."""
    shape = (48, 48, 48)
    layer = RandomVessels(1, 0, (8, 10), num_levels=3, tortuosity=1)
    draws = sample(layer, shape, num=3)
    draws["root"] = np.full_like(draws["root"], 0.5)
    draws["radius"] = np.full_like(draws["radius"], 1e-3)
    for labels in apply(layer, draws, shape):
        assert ndimage.label(labels, np.ones((3, 3, 3)))[1] == 1
        assert 20 < labels.sum() < 120


def test_tortuosity_is_the_spread_of_directions():
    """At the end of a branch, along each axis across it, for small angles."""
    layer = RandomVessels(40, 1, 30, num_levels=1, tortuosity=0.1)
    draws = sample(layer, (16, 16, 16), num=20)
    draws["direction"] = np.zeros_like(draws["direction"]) + np.array([1, 0, 0], "float32")
    points, _ = lines(layer, draws, (16, 16, 16))[0]
    steps = np.diff(points, axis=2)
    end = steps[:, :, -1] / np.linalg.norm(steps[:, :, -1], axis=-1, keepdims=True)
    tangent = end[..., 1:] / end[..., :1]
    check_mean(tangent, 0)
    np.testing.assert_allclose(np.mean(tangent**2), 0.1**2, rtol=0.15)
    half = steps[:, :, steps.shape[2] // 2]
    half = half[..., 1:] / half[..., :1]
    np.testing.assert_allclose(np.mean(half**2), 0.1**2 / 2, rtol=0.15)


def test_draws_are_uniform():
    layer = RandomVessels((2, 5), (1, 3), (10, 20), num_levels=2, tortuosity=(0.5, 1))
    draws = sample(layer, (33, 33), num=200)
    assert set(draws["num_trees"]) == {2, 3, 4, 5}
    bounds = {"radius": (1, 3), "tortuosity": (0.5, 1), "root": (0, 1), "share_1": (0.2, 0.8)}
    for name, (low, high) in {**bounds, "length_0": (10, 20), "length_1": (10, 20)}.items():
        assert draws[name].min() >= low and draws[name].max() <= high
        check_mean(draws[name], (low + high) / 2)


@pytest.mark.parametrize("shape", [(41, 33), (21, 17, 19)])
def test_same_vessels_at_half_the_voxel_size(shape):
    arguments = {"num_trees": 3, "radius": (4, 6), "length": (20, 40), "tortuosity": 0}
    coarse, fine = (
        RandomVessels(spacing=s, num_levels=2, name="vessels", **arguments) for s in (2.0, 1.0)
    )
    draws = sample(coarse, shape)
    ways = {k: np.repeat(v, 3, 2) for k, v in draws.items() if k.startswith("way")}
    fine_shape = tuple(2 * n - 1 for n in shape)
    number = [sample(fine, fine_shape)[f"way_{level}"].shape[2] for level in range(2)]
    ways = {f"way_{k}": ways[f"way_{k}"][:, :, :n] for k, n in enumerate(number)}
    one, other = apply(coarse, draws, shape)[0], apply(fine, {**draws, **ways}, fine_shape)[0]
    assert one.sum() > 20
    assert np.mean(one == other[(slice(None, None, 2),) * len(shape)]) > 0.97


def test_labels_by_tree_and_by_level():
    shape = (64, 64)
    arguments = {"num_trees": 3, "radius": 3, "length": 20, "num_levels": 3, "name": "vessels"}
    vessel, by_tree, level = (
        RandomVessels(label_by=by, **arguments) for by in ("vessel", "tree", "level")
    )
    draws = sample(vessel, shape, num=4)
    maps = [apply(layer, draws, shape) for layer in (vessel, by_tree, level)]
    assert [set(np.unique(x)) for x in maps] == [{0, 1}, {0, 1, 2, 3}, {0, 1, 2, 3}]
    np.testing.assert_array_equal(maps[0] > 0, maps[1] > 0)
    np.testing.assert_array_equal(maps[0] > 0, maps[2] > 0)
    for layer, labels in zip((vessel, by_tree, level), maps, strict=True):
        assert layer.largest_label((4, *shape, 1)) == labels.max()
    alone = apply(by_tree, {**draws, "num_trees": np.ones(4, "int32")}, shape)
    assert (maps[0][alone > 0] == 1).all() and alone.max() == 1
    root = np.round(draws["root"][:, 0] * 63).astype(int)
    assert (maps[2][np.arange(4), *root.T] == 1).all()


def test_any_input_gives_one_channel_of_labels():
    image = np.zeros((1, 12, 10, 3), "float32")
    labels = RandomVessels(1, 1, 5, 2)(image, make_keys(1))
    assert tuple(labels.shape) == (1, 12, 10, 1)
    assert keras.backend.standardize_dtype(labels.dtype) == "int32"


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="the spatial shape must be known"):
        RandomVessels()(keras.Input((None, None, 1), dtype="int32"), keras.Input((2,)))
    with pytest.raises(ValueError, match="`spacing` must be a number or one per axis"):
        RandomVessels(spacing=(1.0, 1.0, 1.0))(np.zeros((1, 8, 8, 1), "int32"), make_keys(1))
