import numpy as np
import pytest

from synthtf.layers import RandomPartialFourier
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomPartialFourier(RandomLayerContract):
    layer = RandomPartialFourier
    arguments = {"fraction": (0.55, 0.8)}
    variants = [{"axes": [1], "fraction": 0.6}]
    identity_arguments = {"fraction": 1}
    num_outcomes = 6
    invalid = [
        ({"fraction": 0.4}, r"`fraction` must lie in \[0.5, 1\]"),
        ({"fraction": (0.9, 0.6)}, "low <= high"),
        ({"axes": [-1]}, "`axes` must be different spatial axes"),
    ]


@pytest.mark.parametrize("shape", [(20, 15), (8, 9, 10)])
def test_lines_of_one_end_are_zero(shape):
    """Empty one end of k-space in the Fourier transform of NumPy."""
    image = np.random.default_rng(0).uniform(size=(6, *shape, 1)).astype("float32")
    layer = RandomPartialFourier(fraction=(0.5, 0.9))
    draws = layer.sample(make_keys(6), image.shape)
    draws = {name: to_arrays(x)[0] for name, x in draws.items()}
    draws["side"] = np.array([0, 0, 0, 1, 1, 1], "int32")
    actual = to_arrays(layer.apply(image, draws))[0]
    for row in range(6):
        axis, size = draws["axis"][row], shape[draws["axis"][row]]
        kspace = np.fft.fftshift(np.fft.fft(image[row], axis=axis), axes=axis)
        acquired = max(int(np.round(draws["fraction"][row] * size)), size // 2 + 1)
        empty = slice(acquired, None) if draws["side"][row] == 0 else slice(0, size - acquired)
        kspace[(*[slice(None)] * axis, empty)] = 0
        expected = np.abs(np.fft.ifft(np.fft.ifftshift(kspace, axes=axis), axis=axis))
        np.testing.assert_allclose(actual[row], expected, atol=1e-5)


def test_waves_acquired_on_one_side_are_halved():
    """A weak wave on a constant: kept at a low frequency, of half its amplitude at a high one."""
    voxel = np.arange(64)
    for frequency, factor in ((4, 1.0), (20, 0.5)):
        wave = 0.01 * np.cos(2 * np.pi * frequency * voxel / 64)
        image = (1 + wave).astype("float32").reshape(1, 64, 1, 1)
        out = to_arrays(RandomPartialFourier(fraction=0.65, axes=[0])(image))[0].ravel()
        np.testing.assert_allclose(out, 1 + factor * wave, atol=5e-5)


def test_draws_are_uniform():
    layer = RandomPartialFourier(fraction=(0.6, 0.8))
    draws = layer.sample(make_keys(300), (300, 4, 4, 4, 1))
    draws = {name: to_arrays(x)[0] for name, x in draws.items()}
    check_mean(draws["fraction"], 0.7)
    check_mean(draws["side"], 0.5)
    for axis in range(3):
        check_mean(draws["axis"] == axis, 1 / 3)
