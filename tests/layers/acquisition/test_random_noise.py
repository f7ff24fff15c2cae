import numpy as np
import pytest
from scipy import ndimage, stats

from synthtf.layers import RandomNoise
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomNoise(RandomLayerContract):
    layer = RandomNoise
    arguments = {"std": (0.05, 0.1)}
    variants = [
        {"distribution": "rician"},
        {"distribution": "chi", "num_coils": 3, "gain": (1, 3)},
        {"distribution": "chi", "num_coils": 2, "correlation": (0.5, 1.5), "spacing": 2.0},
    ]
    identity_arguments = {"std": 0}
    invalid = [
        ({"std": -0.1}, "`std` must lie in"),
        ({"std": (0.2, 0.1)}, "low <= high"),
        ({"distribution": "poisson"}, "`distribution` must be one of"),
        ({"num_coils": (2, 5)}, "`num_coils` must be one number"),
        ({"num_coils": 33}, r"`num_coils` must lie in \[1, 32\]"),
        ({"num_coils": 2.5}, "`num_coils` must be a whole number"),
        ({"gain": 0.5}, "`gain` must lie in"),
        ({"correlation": -1}, "`correlation` must lie in"),
        ({"spacing": 0}, "`spacing` must be positive"),
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


@pytest.mark.parametrize("num_coils", [1, 2, 8])
def test_chi_power_adds_up(num_coils):
    out = noisy(0.7, std=0.2, distribution="chi", num_coils=num_coils)
    check_mean(out**2, 0.7**2 + 2 * num_coils * 0.2**2)


@pytest.mark.parametrize("correlation", [0, 0.01])
def test_chi_is_non_central_chi(correlation):
    """A blur far below a voxel leaves the noise white, yet adds up every coil."""
    out = noisy(0.5, std=0.2, distribution="chi", num_coils=4, correlation=correlation)
    squared = stats.ncx2(df=8, nc=(0.5 / 0.2) ** 2)
    assert stats.kstest((out.ravel() / 0.2) ** 2, squared.cdf).pvalue > 1e-3
    check_mean(out[:, 1:] * out[:, :-1], np.mean(out, dtype="float64") ** 2)


def test_chi_is_the_root_sum_of_squares_of_coils():
    """Against coils simulated one by one."""
    rng = np.random.default_rng(0)
    coils = 0.5 / np.sqrt(3) + 0.2 * rng.standard_normal((3, 5400))
    coils = coils + 0.2j * rng.standard_normal((3, 5400))
    expected = np.sqrt((np.abs(coils) ** 2).sum(0))
    out = noisy(0.5, std=0.2, distribution="chi", num_coils=3)
    assert stats.ks_2samp(out.ravel(), expected).pvalue > 1e-3


def test_one_coil_is_rician():
    arguments = {"std": 0.2, "name": "same"}
    chi = noisy(0.5, distribution="chi", num_coils=1, **arguments)
    np.testing.assert_array_equal(chi, noisy(0.5, distribution="rician", **arguments))


def test_gain_goes_from_one_to_the_drawn_one():
    """The same key with and without a gain: the ratio of the noises is the g-factor."""
    arguments = {"std": 0.2, "name": "same", "shape": (30, 24)}
    ratio = noisy(0.0, gain=3, **arguments) / noisy(0.0, **arguments)
    np.testing.assert_allclose(ratio.min((1, 2, 3)), 1, atol=1e-4)
    np.testing.assert_allclose(ratio.max((1, 2, 3)), 3, atol=1e-4)
    # Smooth: at most four control points, hence linear in pieces of at least 7 voxels.
    assert np.abs(np.diff(ratio, axis=1)).max() < 2 * 2 / 7
    assert np.abs(np.diff(ratio, axis=2)).max() < 2 * 2 / 7


@pytest.mark.parametrize(("shape", "correlation"), [((41, 34), 1.3), ((13, 11, 12), 0.8)])
def test_correlated_noise_keeps_its_variance_and_is_a_blur(shape, correlation):
    arguments = {"std": 1, "name": "same", "shape": shape}
    out = noisy(0.0, num=30, correlation=correlation, **arguments)[..., 0]
    white = noisy(0.0, num=30, **arguments)[..., 0]
    sigma = [0, *(correlation,) * len(shape)]
    blurred = ndimage.gaussian_filter(white, sigma, truncate=4.5, mode="constant")
    kernel = ndimage.gaussian_filter(np.eye(1, 41, 20)[0], correlation, truncate=4.5)
    inner = (slice(None), *(slice(n // 3, -(n // 3)) for n in shape))
    expected = blurred / np.sqrt((kernel**2).sum()) ** len(shape)
    np.testing.assert_allclose(out[inner], expected[inner], atol=5e-3)
    per_sample = (out**2).mean(tuple(range(1, out.ndim)))
    check_mean(per_sample, 1)
    # At the border, too, where fewer voxels are averaged.
    check_mean((out[:, 0] ** 2).reshape(30, -1).mean(1), 1)


def test_correlation_is_in_mm():
    arguments = {"std": 1, "name": "same", "shape": (20, 24)}
    fine = noisy(0.0, correlation=2, spacing=1.0, **arguments)
    coarse = noisy(0.0, correlation=4, spacing=2.0, **arguments)
    np.testing.assert_array_equal(fine, coarse)
