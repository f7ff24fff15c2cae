import numpy as np
import pytest

from synthtf.layers import RandomBiasField
from synthtf.layers.noise_field import KINDS
from synthtf.ops.noise import perlin_noise
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomBiasField(RandomLayerContract):
    layer = RandomBiasField
    arguments = {"drop": (0.2, 0.6)}
    variants = [{"form": "exponential", "std": (0.2, 0.5)}, {"control_points": (3, 9)}]
    variants += [{"noise": noise} for noise in ("value", "gaussian", "fractal")]
    identity_arguments = {"drop": 0}
    invalid = [
        ({"drop": 1.5}, r"`drop` must lie in \[0, 1\]"),
        ({"drop": (0.5, 0.1)}, "low <= high"),
        ({"control_points": 0}, "`control_points` must lie in"),
        ({"noise": "white"}, "`noise` must be one of"),
        ({"octaves": (0, 2)}, "`octaves` must lie in"),
        ({"control_points": (2, 3.5)}, "`control_points` must be whole numbers"),
        ({"form": "cubic"}, "`form` must be one of"),
        ({"std": -1}, "`std` must lie in"),
    ]


def fields(shape, num=1, **arguments):
    layer = RandomBiasField(**arguments)
    return to_arrays(layer(np.ones((num, *shape, 1), "float32"), make_keys(num)))[0]


@pytest.mark.parametrize("shape", [(16, 12), (12, 10, 8)])
@pytest.mark.parametrize("drop", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("noise", KINDS)
def test_linear_field_drops_by_exactly_the_drop(shape, drop, noise):
    field = fields(shape, 3, drop=drop, noise=noise).reshape(3, -1)
    np.testing.assert_allclose(field.min(1), 1 - drop, atol=1e-6)
    np.testing.assert_allclose(field.max(1), 1, atol=1e-6)


def test_two_control_points_give_a_bilinear_field():
    field = fields((9, 9), drop=0.5, control_points=2, noise="value")[0, ..., 0]
    for axis in (0, 1):
        np.testing.assert_allclose(np.diff(field, 2, axis=axis), 0, atol=1e-6)
    assert np.ptp(field) > 0.4


def test_the_default_is_gradient_noise():
    layer = RandomBiasField(drop=0.5, control_points=3)
    draws = layer.sample(make_keys(1), (1, 9, 9, 1))
    expected = 1 - 0.5 * perlin_noise(draws["noise"], draws["control_points"], (9, 9))
    out = layer.apply(np.ones((1, 9, 9, 1), "float32"), draws)
    np.testing.assert_allclose(*to_arrays([out, expected]), atol=1e-6)


def test_one_control_point_is_a_constant():
    np.testing.assert_array_equal(fields((8, 8), noise="value", control_points=1), 1)


def test_logarithm_of_an_exponential_field_is_linear():
    """The lattice is upsampled first, then comes the exponential."""
    field = fields((9, 9), form="exponential", std=1, control_points=2)[0, ..., 0]
    for axis in (0, 1):
        np.testing.assert_allclose(np.diff(np.log(field), 2, axis=axis), 0, atol=1e-5)
    assert np.abs(np.diff(field, 2, axis=0)).max() > 1e-3


def test_exponential_field_of_no_deviation_is_one():
    np.testing.assert_array_equal(fields((8, 8), form="exponential", std=0), 1)


def test_exponential_lattice_is_log_normal():
    """The corners of the volume are control points: their logarithms are normal draws."""
    field = fields((5, 5), 300, form="exponential", std=0.5)[..., 0]
    corners = np.log(np.stack([field[:, i, j] for i in (0, -1) for j in (0, -1)]))
    check_mean(corners, 0)
    check_mean(corners**2, 0.5**2)


def test_channels_share_the_field():
    image = np.ones((1, 8, 8, 2), "float32")
    out = to_arrays(RandomBiasField(drop=0.5)(image, make_keys(1)))[0]
    np.testing.assert_array_equal(out[..., 0], out[..., 1])


def test_drop_is_uniform():
    drop = 1 - fields((16, 16), 300, drop=(0.2, 0.8)).reshape(300, -1).min(1)
    check_mean(drop, 0.5)
    check_mean((drop - 0.5) ** 2, 0.6**2 / 12)
