import numpy as np
import pytest
from keras import ops

from synthtf.ops.stars import object_probability, ray_directions, star_distance


@pytest.mark.parametrize("number, ndim", [(16, 2), (17, 2), (64, 3)])
def test_rays_are_spread_evenly(number, ndim):
    rays = ray_directions(number, ndim)
    assert rays.shape == (number, ndim)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1)
    apart = np.arccos(np.clip(rays @ rays.T - 2 * np.eye(number), -1, 1)).min(axis=1)
    assert apart.max() < (1.01 if ndim == 2 else 1.6) * apart.min()
    np.testing.assert_allclose(rays.mean(axis=0), 0, atol=0.02)


@pytest.mark.parametrize("number, ndim", [(2, 2), (3, 3), (8, 1)])
def test_too_few_rays_are_refused(number, ndim):
    with pytest.raises(ValueError, match="more rays than axes"):
        ray_directions(number, ndim)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 1.5), (1.0, 2.0, 1.5)])
def test_distances_to_the_border_of_a_ball(spacing):
    """From its centre, that to each side is the radius, to half a step and half a voxel."""
    ndim, radius = len(spacing), 8.0
    shape = [2 * int(10 / mm) + 1 for mm in spacing]
    places = np.stack(np.indices(shape), -1) - (np.array(shape) - 1) / 2
    ball = (np.linalg.norm(places * spacing, axis=-1) < radius).astype("int32")
    rays = ray_directions(24, ndim)
    found = ops.convert_to_numpy(star_distance(ball[None, ..., None], rays, spacing, 20.0))[0]
    middle = tuple(n // 2 for n in shape)
    error = np.abs(found[middle] - radius)
    assert error.max() <= 0.5 * (min(spacing) + max(spacing))
    assert not found[ball == 0].any() and found[ball == 1].min() == min(spacing) / 2
    limited = star_distance(ball[None, ..., None], rays, spacing, 3.0)
    np.testing.assert_allclose(limited[0], np.minimum(found, 3.0), atol=0.51 * min(spacing))


def test_another_object_ends_a_ray():
    labels = np.array([1, 1, 2, 2, 2])[None, :, None, None]
    found = ops.convert_to_numpy(star_distance(labels, np.array([[1.0, 0.0]]), (2, 2), 20))
    assert found.ravel().tolist() == [3, 1, 5, 3, 1]


def test_probability_is_the_distance_to_the_border_relative_to_the_largest_of_the_object():
    index = np.zeros((1, 12, 20, 1), "int32")
    index[0, 1:10, 1:10], index[0, 3:6, 10:15] = 1, 2
    found = ops.convert_to_numpy(object_probability(index, 2, (1, 1), 20))[0, ..., 0]
    assert found[index[0, ..., 0] == 0].max() == 0
    assert found[5, 5] == 1 and found[4, 12] == 1
    np.testing.assert_allclose(found[5, 1:6], (np.arange(5) + 0.5) / 4.5, rtol=1e-5)
    # Neighbours are told apart at the border that they share.
    assert found[4, 9] == pytest.approx(0.5 / 4.5) and found[4, 10] == pytest.approx(1 / 3)


def test_the_border_of_the_volume_is_none_of_an_object():
    index = np.ones((1, 8, 8, 1), "int32")
    index[:, :4] = 0
    found = ops.convert_to_numpy(object_probability(index, 1, (1, 1), 20))[0, 4:, :, 0]
    np.testing.assert_allclose(found, np.repeat((np.arange(4)[:, None] + 0.5) / 3.5, 8, 1), 1e-5)
