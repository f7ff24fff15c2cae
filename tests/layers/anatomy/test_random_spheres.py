import keras
import numpy as np
import pytest

from synthtf.layers import RandomSpheres
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomSpheres(RandomLayerContract):
    layer = RandomSpheres
    kind = "labels"
    arguments = {"radius": (1, 2), "distance": (4, 6)}
    variants = [
        {"radius": (4, 6), "distance": 14, "spacing": 2.0},
        {"irregularity": 0, "jitter": 0},
    ]
    identity_arguments = {"probability": 0}
    invalid = [
        ({"radius": 0}, "`radius` must lie in"),
        ({"distance": (6, 4)}, "low <= high"),
        ({"jitter": 0.6}, "`jitter` must lie in"),
        ({"dropped": (0, 1.1)}, "`dropped` must lie in"),
        ({"irregularity": 1}, "`irregularity` must lie in"),
        ({"radius": 4}, "largest `radius`, `irregularity` included, must not exceed"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def canvas(*shape, num=1):
    return np.zeros((num, *shape, 1), "int32")


def sample(layer, shape, num=1):
    """Draws as arrays."""
    draws = layer.sample(make_keys(num), (num, *shape, 1))
    return {k: to_arrays(x)[0] for k, x in draws.items()}


def apply(layer, draws, shape):
    num = len(draws["distance"])
    return to_arrays(layer.apply(canvas(*shape, num=num), draws))[0][..., 0]


def centres(layer, draws, shape, row=0):
    """Centres in mm from the first voxel, one row per label from 1."""
    lattice = [int(np.ceil((n - 1) * s / layer.distance[0])) + 2 for n, s in shape]
    points = np.stack(np.indices(lattice), -1).reshape(-1, len(lattice))
    return (points - draws["shift"][row] + draws["jitter"][row]) * draws["distance"][row]


@pytest.mark.parametrize(
    "shape, spacing", [((61, 83), (1.0, 1.0)), ((61, 43, 65), (1.0, 1.5, 0.8))]
)
def test_spheres_are_those_of_the_definition(shape, spacing):
    """All voxels within the radius, and closest in power distance, computed one by one."""
    layer = RandomSpheres((5, 11), (16, 18), irregularity=0, spacing=spacing, name="spheres")
    draws = sample(layer, shape)
    labels = apply(layer, draws, shape)[0]
    place = centres(layer, draws, list(zip(shape, spacing, strict=True)))
    assert len(place) == layer.largest_label((1, *shape, 1))
    grid = np.stack(np.indices(shape), -1) * spacing
    best, expected = np.zeros(shape), np.zeros(shape, "int32")
    exists = draws["chance"][0] >= draws["dropped"][0]
    for label in np.flatnonzero(exists) + 1:
        power = np.sum((grid - place[label - 1]) ** 2, -1) - draws["radius"][0, label - 1] ** 2
        expected = np.where(power < best, label, expected)
        best = np.minimum(best, power)
    assert 0.2 < np.mean(expected > 0) < 0.9
    # Where two meet, the closest point of the coarse grid decides.
    assert np.mean(labels != expected) < 0.03
    # Narrow gaps between spheres are filled; no sphere loses anything.
    assert np.mean((labels > 0) & (expected == 0)) < 0.015
    assert np.mean((labels == 0) & (expected > 0)) < 1e-4
    assert not np.isin(labels, np.flatnonzero(~exists) + 1).any()


@pytest.mark.parametrize("shape, spacing", [((101, 101), 0.5), ((61, 61, 61), 1.0)])
def test_volume_of_a_sphere(shape, spacing):
    layer = RandomSpheres((8, 9), 20, jitter=0, dropped=0, irregularity=0, spacing=spacing)
    draws = sample(layer, shape)
    labels = apply(layer, draws, shape)[0]
    extent = (np.array(shape) - 1) * spacing
    place = centres(layer, draws, [(n, spacing) for n in shape])
    whole = np.flatnonzero(((place > 9) & (place < extent - 9)).all(1)) + 1
    assert whole.size
    for label in whole:
        radius = draws["radius"][0, label - 1]
        expected = {2: np.pi * radius**2, 3: 4 / 3 * np.pi * radius**3}[len(shape)]
        found = np.sum(labels == label) * spacing ** len(shape)
        np.testing.assert_allclose(found, expected, rtol=0.02)


def test_objects_are_star_convex():
    """Walking from a voxel to the centre of its object, one stays in it, but for its border."""
    layer = RandomSpheres((6, 9), 24, irregularity=0.6, name="spheres")
    shape = (97, 97)
    draws = sample(layer, shape, num=4)
    labels = apply(layer, draws, shape)
    left, walked = 0, 0
    for row in range(4):
        place = centres(layer, draws, [(n, 1.0) for n in shape], row)
        for voxel in np.argwhere(labels[row]):
            label = labels[row][tuple(voxel)]
            centre = place[label - 1]
            for share in (0.3, 0.6, 0.9):
                on_the_way = np.round(centre + share * (voxel - centre)).astype(int)
                if ((on_the_way >= 0) & (on_the_way < 97)).all():
                    left += labels[row][tuple(on_the_way)] != label
                    walked += 1
    assert walked > 10000 and left / walked < 0.01
    still = RandomSpheres((6, 9), 24, irregularity=0, name="spheres")
    assert 0.03 < np.mean((apply(still, draws, shape) > 0) != (labels > 0)) < 0.3


def test_radius_deviates_as_much_as_said():
    """Of discs with room between them: within the bounds, and by nothing on average."""
    layer = RandomSpheres(20, 60, jitter=0, dropped=0, irregularity=0.5)
    shape, num = (81, 81), 60
    draws = sample(layer, shape, num)
    # The second point of the lattice, of four per axis, lies in the middle.
    draws["shift"] = 0 * draws["shift"] + 1 - 40 / 60
    discs = apply(layer, draws, shape) == 6
    for ray in (discs[:, 40, 40:], discs[:, 40, 40::-1], discs[:, 40:, 40], discs[:, 40::-1, 40]):
        radius = ray.sum(1) - 0.5
        assert 20 * 0.5 - 1 <= radius.min() < 17 and 23 < radius.max() <= 20 * 1.5 + 1
        check_mean(radius, 20)


def test_draws_are_uniform():
    layer = RandomSpheres((2, 4), (8, 12), 0.25, (0.1, 0.3), (0.2, 0.4))
    draws = sample(layer, (33, 33), num=200)
    bounds = {
        "radius": (2, 4),
        "distance": (8, 12),
        "jitter": (-0.25, 0.25),
        "shift": (0, 1),
        "dropped": (0.1, 0.3),
        "irregularity": (0.2, 0.4),
        "chance": (0, 1),
    }
    for name, (low, high) in bounds.items():
        assert draws[name].min() >= low and draws[name].max() <= high
        check_mean(draws[name], (low + high) / 2)
        check_mean((draws[name] - (low + high) / 2) ** 2, (high - low) ** 2 / 12)


def test_share_of_spheres_left_out():
    layer = RandomSpheres(2, 6, jitter=0, dropped=0.25, irregularity=0)
    draws = sample(layer, (49, 49), num=30)
    place = centres(layer, draws, [(49, 1.0)] * 2)
    labels = apply(layer, draws, (49, 49))
    found = []
    for row in range(30):
        place = centres(layer, draws, [(49, 1.0)] * 2, row)
        inside = np.flatnonzero(((place > 2) & (place < 46)).all(1)) + 1
        found.append(np.mean(np.isin(inside, labels[row])))
    check_mean(np.array(found), 0.75)
    assert not apply(
        RandomSpheres(2, 6, dropped=1), draws | {"dropped": np.ones(30, "f")}, (49, 49)
    ).any()


@pytest.mark.parametrize("shape", [(41, 33), (21, 17, 19)])
def test_same_spheres_at_half_the_voxel_size(shape):
    arguments = {"radius": (6, 10), "distance": 24, "name": "spheres"}
    coarse, fine = (
        to_arrays(RandomSpheres(spacing=s, **arguments)(canvas(*n), make_keys(1)))[0][..., 0]
        for s, n in ((2.0, shape), (1.0, tuple(2 * n - 1 for n in shape)))
    )
    assert np.unique(coarse).size > 2
    assert np.mean(coarse == fine[(slice(None), *(slice(None, None, 2),) * len(shape))]) > 0.98


def test_any_input_gives_one_channel_of_labels():
    image = np.zeros((1, 12, 10, 3), "float32")
    labels = RandomSpheres(2, 6)(image, make_keys(1))
    assert tuple(labels.shape) == (1, 12, 10, 1)
    assert keras.backend.standardize_dtype(labels.dtype) == "int32"


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="the spatial shape must be known"):
        RandomSpheres()(keras.Input((None, None, 1), dtype="int32"), keras.Input((2,)))
    with pytest.raises(ValueError, match="`spacing` must be a number or one per axis"):
        RandomSpheres(spacing=(1.0, 1.0, 1.0))(canvas(8, 8), make_keys(1))
