import itertools

import numpy as np
import pytest
from scipy import ndimage

from synthtf.inference.surfaces import topology
from synthtf.inference.surfaces.topology import is_ball, sphere_like


def ball(size=17, radius=6.0):
    """Positive within a ball, in voxels."""
    grid = np.indices((size,) * 3) - (size - 1) / 2
    return radius - np.sqrt((grid**2).sum(0))


def test_a_ball_stays_as_it_is():
    values = ball()
    np.testing.assert_array_equal(sphere_like(values), values > 0)


def test_a_cavity_is_filled_and_what_is_apart_is_left_out():
    values = ball()
    values[8, 8, 8] = -1
    values[1, 1, 1] = 2
    np.testing.assert_array_equal(sphere_like(values), ball() > 0)


@pytest.mark.parametrize("weak", [True, False], ids=["weak hole", "weak bridge"])
def test_a_handle_is_filled_or_cut_where_that_changes_the_less(weak):
    """A plate with a hole: filled if the hole is hardly outside, cut if it surely is."""
    values = np.full((13, 13, 7), -1.0)
    values[2:11, 2:11, 3] = 1
    values[5:8, 5:8, 3] = -0.01 if weak else -1
    values[6, 2:5, 3] = 0.05
    found = sphere_like(values)
    assert not is_ball(values > 0) and is_ball(found)
    assert found[6, 6, 3] == weak
    if weak:
        assert found[2:11, 2:11, 3].all() and found.sum() == 81
    else:
        lost = (values > 0) & ~found
        assert 0 < lost.sum() <= 3 and values[lost].max() < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_any_region_becomes_a_ball_that_is_not_far_from_it(seed):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(24,) * 3), 1.2)
    values = ball(24, 9.0) / 3 + noise / noise.std()
    values[[0, -1]] = values[:, [0, -1]] = values[:, :, [0, -1]] = -1
    assert not is_ball(values > 0)
    found = sphere_like(values)
    assert is_ball(found)
    assert (found != (values > 0)).mean() < 0.12 * (values > 0).mean()


def test_a_region_grows_from_another():
    outer, inner = ball(17, 6.5), ball(17, 3.0) > 0
    outer[8, 8, 8] = -1  # within the other region
    found = sphere_like(outer, inner)
    assert is_ball(found) and found[inner].all()


def test_voxels_are_simple_where_pieces_cavities_and_handles_stay():
    """Compared with the whole: a voxel at a time, in random surroundings."""
    rng = np.random.default_rng(0)
    seen = [0, 0]
    for _ in range(300):
        without = np.zeros((5, 5, 5), bool)
        without[1:4, 1:4, 1:4] = rng.random((3, 3, 3)) < rng.uniform(0.2, 0.9)
        without[2, 2, 2] = False
        with_it = without.copy()
        with_it[2, 2, 2] = True
        around = [without[tuple(2 + np.array(step))] for step in topology._STEPS]
        simple = topology._is_simple(np.array([around]))[0]
        counts = [
            (
                ndimage.label(region)[1],
                ndimage.label(~region, ndimage.generate_binary_structure(3, 2))[1],
                topology._euler_number(region),
            )
            for region in (without, with_it)
        ]
        assert not simple or counts[0] == counts[1]
        seen[int(simple)] += 1
    assert min(seen) > 20


def test_the_number_of_handles_is_counted():
    ring = np.zeros((7, 7, 3), bool)
    ring[1:6, 1:6, 1] = True
    assert topology._euler_number(ring) == 1 and is_ball(ring)
    ring[3, 3, 1] = False
    assert topology._euler_number(ring) == 0 and not is_ball(ring)
    two = ring.copy()
    two[1, 1, 1] = two[3, 2, 1] = False
    assert topology._euler_number(two) in (0, 1)


@pytest.mark.parametrize("values", [-np.ones((4, 4, 4)), np.ones((4, 4, 4))])
def test_nothing_inside_or_at_the_border_is_refused(values):
    with pytest.raises(ValueError, match="positive somewhere, and negative at all borders"):
        sphere_like(values)


def test_steps_are_all_neighbours():
    assert len(topology._STEPS) == 26 == len(set(map(tuple, topology._STEPS)))
    assert {tuple(s) for s in topology._STEPS} == set(itertools.product((-1, 0, 1), repeat=3)) - {
        (0, 0, 0)
    }
