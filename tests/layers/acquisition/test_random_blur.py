import numpy as np
import pytest
from scipy import ndimage

from synthtf.layers import RandomBlur
from synthtf.testing import RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomBlur(RandomLayerContract):
    layer = RandomBlur
    arguments = {"std": (0.5, 1.5)}
    variants = [{"spacing": 0.8}]
    identity_arguments = {"std": 0}
    invalid = [
        ({"std": -1}, "`std` must lie in"),
        ({"std": (2, 1)}, "low <= high"),
        ({"std": "wide"}, "must be a number or"),
        ({"std": (1, 2, 3)}, "must be a number or"),
        ({"std": float("nan")}, "must be finite"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def blur(image, num=1, **arguments):
    layer = RandomBlur(**arguments)
    return to_arrays(layer(repeat(image, num), make_keys(num)))[0]


def impulse(*shape):
    image = np.zeros((1, *shape, 1), "float32")
    image[(0, *(n // 2 for n in shape), 0)] = 1
    return image


def variances(image):
    """Second moments of each sample about its middle, per axis."""
    out = []
    for axis in range(1, image.ndim - 1):
        n = image.shape[axis]
        others = tuple(d for d in range(1, image.ndim) if d != axis)
        out.append((image.sum(others) * (np.arange(n) - n // 2) ** 2).sum(1))
    return np.stack(out, axis=1)


@pytest.mark.parametrize("shape", [(25, 31), (21, 25, 23)])
@pytest.mark.parametrize("spacing", [1.0, 0.8])
def test_impulse_gets_the_variance_of_the_kernel(shape, spacing):
    out = blur(impulse(*shape), std=1.6, spacing=spacing)
    np.testing.assert_allclose(variances(out), (1.6 / spacing) ** 2, rtol=0.01)
    np.testing.assert_allclose(out.sum(), 1, rtol=1e-3)


def test_matches_scipy_away_from_the_border():
    image = np.random.default_rng(0).uniform(size=(1, 40, 80, 1)).astype("float32")
    out = blur(image, std=1.5)[0, 8:-8, 8:-8, 0]
    expected = ndimage.gaussian_filter(image[0, ..., 0], 1.5, truncate=4)[8:-8, 8:-8]
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_constant_image_stays_constant_up_to_the_border():
    np.testing.assert_allclose(blur(np.full((1, 12, 12, 1), 0.7), std=3), 0.7, rtol=1e-5)


def test_std_is_uniform_and_drawn_per_axis():
    found = variances(blur(impulse(17, 17), 300, std=(1, 2)))
    check_mean(found, (1 + 2 + 4) / 3)
    assert np.abs(found[:, 0] - found[:, 1]).max() > 1
