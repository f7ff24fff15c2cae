import numpy as np
import pytest

from synthtf.layers import RandomInversion
from synthtf.testing import RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomInversion(RandomLayerContract):
    layer = RandomInversion
    variants = [{"foreground": False}]
    identity_arguments = {"probability": 0}
    num_outcomes = 2
    invalid = [({"foreground": 2}, "`foreground` must be")]


def image_with_background():
    image = np.random.default_rng(0).uniform(0.2, 0.9, (2, 6, 5, 2)).astype("float32")
    image[:, :2] = 0
    return image


def invert(image, **arguments):
    return to_arrays(RandomInversion(probability=1, **arguments)(image, make_keys(len(image))))[0]


def test_foreground_alone_is_inverted_within_its_range():
    image = image_with_background()
    out = invert(image)
    for row in range(2):
        for c in range(2):
            x = image[row, 2:, :, c]
            np.testing.assert_allclose(out[row, 2:, :, c], x.min() + x.max() - x, atol=1e-6)
    assert not out[:, :2].any()


def test_background_becomes_bright():
    image = image_with_background()
    largest = image.max((1, 2), keepdims=True)
    np.testing.assert_allclose(invert(image, foreground=False), largest - image, atol=1e-6)


@pytest.mark.parametrize("foreground", [True, False])
def test_twice_is_the_identity(foreground):
    image = image_with_background()
    twice = invert(invert(image, foreground=foreground), foreground=foreground)
    np.testing.assert_allclose(twice, image, atol=1e-6)


def test_images_without_foreground_stay():
    assert not invert(np.zeros((1, 4, 4, 1), "float32")).any()


def test_half_of_the_samples_are_inverted():
    image = repeat(image_with_background()[:1], 300)
    out = to_arrays(RandomInversion()(image, make_keys(300)))[0]
    check_mean((out != image).any((1, 2, 3)), 0.5)
