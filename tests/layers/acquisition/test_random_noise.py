import numpy as np
import pytest

from synthtf.layers import RandomNoise
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomNoise(RandomLayerContract):
    layer = RandomNoise
    arguments = {"std": (0.05, 0.1)}
    variants = [{"distribution": "rician"}]
    identity_arguments = {"std": 0}
    invalid = [
        ({"std": -0.1}, "`std` must lie in"),
        ({"std": (0.2, 0.1)}, "low <= high"),
        ({"distribution": "poisson"}, '`distribution` must be "gaussian" or "rician"'),
    ]


def noisy(signal, num=6, shape=(30, 30), **arguments):
    image = np.full((num, *shape, 1), signal, "float32")
    return to_arrays(RandomNoise(**arguments)(image, make_keys(num)))[0]


@pytest.mark.parametrize("shape", [(30, 30), (10, 10, 10)])
def test_gaussian_moments(shape):
    residual = (noisy(0.5, shape=shape, std=0.2) - 0.5) / 0.2
    check_mean(residual, 0)
    check_mean(residual**2, 1)
    check_mean(residual**4, 3)


def test_rician_without_signal_is_rayleigh():
    out = noisy(0.0, std=0.2, distribution="rician")
    assert out.min() >= 0
    check_mean(out, 0.2 * np.sqrt(np.pi / 2))
    check_mean(out**2, 2 * 0.2**2)


def test_rician_power_adds_up():
    check_mean(noisy(1.0, std=0.2, distribution="rician") ** 2, 1 + 2 * 0.2**2)


def test_std_is_uniform():
    out = noisy(0.0, num=300, shape=(12, 12), std=(0.1, 0.4))
    check_mean((out**2).mean((1, 2, 3)), (0.1**2 + 0.1 * 0.4 + 0.4**2) / 3)


def test_voxels_are_independent():
    out = noisy(0.0, std=1)
    check_mean(out[:, 1:] * out[:, :-1], 0)
    check_mean(out[:, :, 1:] * out[:, :, :-1], 0)
    check_mean(out[1:] * out[:-1], 0)
