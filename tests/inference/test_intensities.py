import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synthtf.inference.intensities import IntensityModel

SHAPE = (40, 44, 36)


def scene(noise=0.3, bias=0.0, blur=2.0, seed=0):
    """Intensities, labels of 0 to 2, and posteriors that know the places only roughly."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    labels = (x**2 + y**2 + z**2 < 0.7).astype(int)
    labels[(np.abs(x + 0.15 * np.sin(12 * y)) < 0.35) & (labels == 1)] = 2
    image = np.array([0.5, 1.0, 3.0])[labels] + noise * rng.normal(size=SHAPE)
    image = image + bias * x
    posteriors = np.stack([gaussian_filter((labels == k) * 1.0, blur) for k in range(3)], -1)
    posteriors = posteriors / posteriors.sum(-1, keepdims=True)
    return image.astype(np.float32), labels, posteriors.astype(np.float32)


def errors(posteriors, labels):
    inside = labels > 0
    return np.mean(posteriors.argmax(-1)[inside] != labels[inside])


def sharpened(image, posteriors, **options):
    result = posteriors.copy()
    IntensityModel.fit(image, posteriors, **options).sharpen(image, result)
    return result


@pytest.mark.parametrize("bias, share", [(0.0, 0.3), (1.5, 0.5)])
def test_borders_follow_the_intensities(bias, share):
    image, labels, posteriors = scene(bias=bias)
    before, after = errors(posteriors, labels), errors(sharpened(image, posteriors), labels)
    assert before > 0.08 and after < share * before


def test_parameters_are_those_of_the_image():
    image, labels, posteriors = scene(bias=1.0)
    model = IntensityModel.fit(image, posteriors)
    means = model.centre + model.spread * model.mean[1:]
    np.testing.assert_allclose(means[1] - means[0], 2.0, atol=0.4)
    inside = labels > 0
    ramp = np.broadcast_to(np.linspace(-1, 1, SHAPE[0])[:, None, None], SHAPE)[inside]
    assert np.corrcoef(model.bias[inside], ramp)[0, 1] > 0.9


@pytest.mark.parametrize("scale, offset", [(100.0, 0.0), (1.0, -50.0), (-3.0, 7.0)])
def test_the_scale_of_intensities_does_not_matter(scale, offset):
    image, _, posteriors = scene()
    expected = sharpened(image, posteriors)
    found = sharpened(scale * image + offset, posteriors)
    # Only the bins of the background's histogram are not the same from both ends.
    assert np.mean(np.abs(found - expected).max(-1) > 0.02) < 0.002


def test_posteriors_sum_to_one_and_air_is_left_alone():
    image, _, posteriors = scene()
    result = sharpened(image, posteriors)
    np.testing.assert_allclose(result.sum(-1), 1, atol=1e-5)
    air = posteriors[..., 0] > 0.98
    np.testing.assert_array_equal(result[air], posteriors[air])


def test_pairs_have_intensities_in_common():
    image, _, posteriors = scene()
    half = np.arange(SHAPE[0])[:, None, None] < SHAPE[0] // 2
    background, outer, inner = np.moveaxis(posteriors, -1, 0)
    split = np.stack([background, outer * half, inner, outer * ~half], -1)
    model = IntensityModel.fit(image, split, pairs=[(1, 3)])
    assert model.groups.tolist() == [0, 1, 2, 1]
    whole = IntensityModel.fit(image, posteriors)
    np.testing.assert_allclose(model.mean[1:], whole.mean[1:], atol=1e-4)


def test_an_outlier_does_not_decide():
    """A dark spot deep inside the bright class stays in it: to all classes, it is an outlier."""
    image, labels, posteriors = scene(noise=0.1)
    inside = tuple(np.argwhere((labels == 2) & (posteriors[..., 2] > 0.9))[0])
    image[inside] = -40
    assert sharpened(image, posteriors)[inside].argmax() == 2


def test_without_contrast_borders_stay():
    posteriors = scene()[2]
    image = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    result = sharpened(image, posteriors)
    assert np.mean(result.argmax(-1) != posteriors.argmax(-1)) < 0.02


@pytest.mark.parametrize("case", ["nothing found", "a few voxels", "constant image"])
def test_nothing_to_learn_from(case):
    image, _, posteriors = scene()
    if case == "constant image":
        assert IntensityModel.fit(np.ones_like(image), posteriors) is None
        return
    posteriors[:] = (1, 0, 0)
    if case == "a few voxels":
        posteriors[:5, :5, :5] = (0, 1, 0)
    assert IntensityModel.fit(image, posteriors) is None


def test_a_class_that_is_nowhere_does_no_harm():
    image, _, posteriors = scene()
    empty = np.concatenate([posteriors, np.zeros((*SHAPE, 1), np.float32)], -1)
    result = sharpened(image, empty)
    assert np.isfinite(result).all() and not result[..., 3].any()
    np.testing.assert_allclose(result[..., :3], sharpened(image, posteriors), atol=1e-4)


def test_the_gain_is_what_the_scan_adds():
    image, _, posteriors = scene()
    model = IntensityModel.fit(image, posteriors)
    none = np.zeros(1, np.float32)
    values = model.centre + model.spread * np.float32([model.mean[1], model.mean[2]])
    np.testing.assert_allclose(model.gain(1, values[:1], values[:1], none), 1)
    # From the mean of one class to that of the other, each class gains at its own.
    assert model.gain(2, values[1:], values[:1], none) > 1.3
    assert model.gain(1, values[1:], values[:1], none) < 0.8


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0)])
def test_borders_move_and_volumes_stay(spacing):
    image, labels, posteriors = scene(noise=0.8)
    result = sharpened(image, posteriors, spacing=spacing)
    assert errors(result, labels) < 0.8 * errors(posteriors, labels)
    sums = (x.sum((0, 1, 2), dtype=float) for x in (result, posteriors))
    np.testing.assert_allclose(next(sums), next(sums), rtol=0.01)
