import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from synthtf.ops import close_region, distance_to, signed_distance


def blob(shape, seed=0):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 2)
    return (noise > np.median(noise))[None, ..., None]


def numpy(x):
    return ops.convert_to_numpy(x)[0, ..., 0]


CASES = [((24, 20), (1.0, 1.0)), ((24, 20), (0.7, 2.5)), ((14, 16, 12), (1.0, 3.0, 1.5))]


@pytest.mark.parametrize(("shape", "spacing"), CASES)
@pytest.mark.parametrize("limit", [0.5, 3.0, 100.0])
def test_distance_is_that_of_scipy(shape, spacing, limit):
    mask = blob(shape)
    found = numpy(distance_to(mask, spacing, limit))
    expected = ndimage.distance_transform_edt(~mask[0, ..., 0], sampling=spacing)
    np.testing.assert_allclose(found, np.minimum(expected, limit), atol=1e-5)


@pytest.mark.parametrize(("shape", "spacing"), CASES)
def test_signed_distance_is_that_of_scipy(shape, spacing):
    mask = blob(shape)
    found = numpy(signed_distance(mask, spacing, 6.0))
    half = min(spacing) / 2
    outside = ndimage.distance_transform_edt(~mask[0, ..., 0], sampling=spacing)
    inside = ndimage.distance_transform_edt(mask[0, ..., 0], sampling=spacing)
    expected = np.where(mask[0, ..., 0], half - inside, outside - half)
    np.testing.assert_allclose(found, np.clip(expected, -6, 6), atol=1e-5)
    assert ((found < 0) == mask[0, ..., 0]).all()


@pytest.mark.parametrize("radius", [4.0, 7.3])
def test_signed_distance_of_a_ball_is_exact_to_half_a_voxel(radius):
    centre = np.array([15.2, 14.7, 15.0])
    grid = np.stack(np.meshgrid(*[np.arange(30)] * 3, indexing="ij"), -1)
    truth = np.linalg.norm(grid - centre, axis=-1) - radius
    found = numpy(signed_distance((truth < 0)[None, ..., None], (1, 1, 1), 5.0))
    assert np.abs(found - np.clip(truth, -5, 5)).max() < 0.5 + 1e-3


def test_empty_and_full_regions_are_far_from_any_border():
    empty = np.zeros((1, 6, 7, 1), bool)
    assert (numpy(signed_distance(empty, (2, 2), 5.0)) == 5).all()
    assert (numpy(signed_distance(~empty, (2, 2), 5.0)) == -5).all()


@pytest.mark.parametrize(("shape", "spacing"), CASES)
@pytest.mark.parametrize("radius", [0.0, 1.0, 3.2])
def test_closing_is_that_of_scipy(shape, spacing, radius):
    mask = blob(shape)
    pad = 12  # the ball reaches beyond the borders
    padded = np.pad(mask[0, ..., 0], pad)
    grown = ndimage.distance_transform_edt(~padded, sampling=spacing) <= radius
    expected = ndimage.distance_transform_edt(grown, sampling=spacing) > radius
    expected = expected[(slice(pad, -pad),) * len(shape)]
    found = numpy(
        close_region(np.pad(mask, [(0, 0), *[(pad, pad)] * len(shape), (0, 0)]), spacing, radius)
    )[(slice(pad, -pad),) * len(shape)]
    np.testing.assert_array_equal(found, expected if radius else mask[0, ..., 0])


def test_channels_and_samples_are_apart():
    mask = np.concatenate([blob((12, 10), seed) for seed in range(4)])
    whole = ops.convert_to_numpy(distance_to(mask.reshape(2, 12, 10, 2), (1, 1), 4.0))
    alone = [
        ops.convert_to_numpy(
            distance_to(mask.reshape(2, 12, 10, 2)[i : i + 1, ..., j : j + 1], (1, 1), 4.0)
        )
        for i in range(2)
        for j in range(2)
    ]
    np.testing.assert_array_equal(whole[1, ..., 1], alone[3][0, ..., 0])
    np.testing.assert_array_equal(whole[0, ..., 1], alone[1][0, ..., 0])
