"""Demons on images of two contrasts, whose deformation is known."""

import numpy as np
import pytest
from scipy import ndimage

from synthtf.inference.registration.dense_alignment import _GROUPS, _grouped, align_densely
from synthtf.ops import integrate_velocity, resample

SHAPE = (32, 40, 36)
NOTHING = np.zeros((*(n // 2 for n in SHAPE), 3))


def smooth(seed, std, size):
    noise = np.random.default_rng(seed).standard_normal((*SHAPE, 3))
    field = ndimage.gaussian_filter(noise, std, axes=(0, 1, 2))
    return (field / field.std() * size).astype("float32")


def pair(velocity):
    """Images of two contrasts, of tissues that a velocity takes from the fixed to the moving."""
    tissues = 1 + (smooth(1, 2.0, 1.0)[..., 0] > 0) + (smooth(2, 3.0, 1.0)[..., 0] > 0.5)
    tissues[:4] = tissues[-4:] = tissues[:, :4] = tissues[:, -4:] = 0
    both = []
    for sign, contrast in ((-0.5, [0, 0.4, 0.9, 0.6]), (0.5, [0, 1, 0.3, 0.6])):
        field = integrate_velocity(sign * velocity[None], 5)
        image = np.asarray(contrast, "float32")[tissues.astype(int)][None, ..., None]
        both.append(np.asarray(resample(image, field))[0, ..., 0])
    return both


def test_finds_a_known_velocity_between_contrasts():
    truth = smooth(0, 6.0, 1.2)
    found = align_densely(*pair(truth), None, NOTHING)
    inner = (slice(7, -7),) * 3
    error = np.linalg.norm(found - truth, axis=-1)[inner].mean()
    assert error < 0.5 * np.linalg.norm(truth, axis=-1)[inner].mean()
    assert found.shape == (*SHAPE, 3)


def test_swapping_the_images_negates():
    moving, fixed = pair(smooth(0, 6.0, 1.0))
    forward = align_densely(moving, fixed, None, NOTHING)
    backward = align_densely(fixed, moving, None, NOTHING)
    np.testing.assert_allclose(forward, -backward, atol=1e-4)


def test_only_what_a_detector_finds_counts():
    """On maps of larger voxels, of the left half."""
    maps = np.zeros((2, *(n // 2 for n in SHAPE), 1))
    maps[:, 3:8, 3:-3, 3:-3] = 1
    found = align_densely(*pair(smooth(0, 6.0, 1.2)), maps, NOTHING)
    strength = np.linalg.norm(found, axis=-1)
    assert strength[6:16, 8:-8, 8:-8].mean() > 5 * strength[-6:].mean()


def test_structures_guide_what_texture_does_not_tell():
    """Two balls in flat images, four voxels apart."""
    grid = np.indices(SHAPE).transpose(1, 2, 3, 0)
    centres = [(13.5, 19.5, 17.5), (17.5, 19.5, 17.5)]
    maps = np.stack([np.exp(-np.square(grid - c).sum(-1) / 60) for c in centres])[..., None]
    found = align_densely(*[np.zeros(SHAPE)] * 2, maps, NOTHING)
    assert -5 < found[15, 19, 17, 0] < -2
    assert np.abs(found[15, 19, 17, 1:]).max() < 0.5


def test_structures_that_share_a_map_are_far_from_each_other():
    """Cubes in a row: twice as many as there are maps."""
    maps = np.zeros((2, 8 * _GROUPS, 8, 8, 2 * _GROUPS), "float32")
    for index in range(2 * _GROUPS):
        maps[:, 4 * index : 4 * index + 4, 2:6, 2:6, index] = 1 + index
    found = _grouped(maps)
    assert found.shape == (2, 8 * _GROUPS, 8, 8, _GROUPS)
    np.testing.assert_array_equal(found.sum(-1), maps.sum(-1))
    values = found.max(axis=(0, 2, 3)).T.reshape(_GROUPS, 2 * _GROUPS, 4)[..., 0]
    neighbours = (values[:, 1:] > 0) & (values[:, :-1] > 0)
    assert not neighbours.any()
    np.testing.assert_array_equal(_grouped(maps[::-1]), found[::-1])


@pytest.mark.parametrize("step", [1, 2])
def test_equal_images_keep_a_velocity_of_nothing(step):
    image = pair(NOTHING.repeat(2, 0).repeat(2, 1).repeat(2, 2).astype("float32"))[0]
    start = np.zeros((*(n // step for n in SHAPE), 3))
    np.testing.assert_allclose(align_densely(image, image, None, start), 0, atol=1e-4)


def test_a_higher_smoothness_is_smoother():
    images = pair(smooth(0, 6.0, 1.2))
    rough = [
        np.mean(np.square(np.diff(align_densely(*images, None, NOTHING, value), axis=0)))
        for value in (0.25, 0.5, 0.9)
    ]
    assert rough[0] > rough[1] > rough[2]
