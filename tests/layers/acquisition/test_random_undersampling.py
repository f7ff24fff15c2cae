import numpy as np
import pytest

from synthtf.layers import RandomUndersampling
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomUndersampling(RandomLayerContract):
    layer = RandomUndersampling
    arguments = {"acceleration": (2, 4), "centre": (0.1, 0.3)}
    variants = [{"pattern": "random", "axes": [1]}]
    identity_arguments = {"acceleration": 1}
    num_outcomes = 4
    invalid = [
        ({"acceleration": 0.5}, "`acceleration` must lie in"),
        ({"centre": (0, 1.5)}, r"`centre` must lie in \[0, 1\]"),
        ({"pattern": "spiral"}, "`pattern` must be one of"),
        ({"axes": []}, "`axes` must be different spatial axes"),
    ]


def volume(*shape):
    return np.random.default_rng(0).uniform(size=shape).astype("float32")


@pytest.mark.parametrize("shape", [(12, 24), (12, 8, 16)])
@pytest.mark.parametrize("acceleration", [2, 4])
def test_regular_lines_alias(shape, acceleration):
    """Every R-th line: the mean of R copies that are evenly spaced along the axis."""
    image = volume(1, *shape, 1)
    for axis, size in enumerate(shape):
        layer = RandomUndersampling(acceleration=acceleration, centre=0, axes=[axis])
        copies = [
            np.roll(image, j * size // acceleration, axis=axis + 1) for j in range(acceleration)
        ]
        actual = to_arrays(layer(image, make_keys(1)))[0]
        np.testing.assert_allclose(actual, np.mean(copies, axis=0), atol=1e-5)


@pytest.mark.parametrize("pattern", ["regular", "random"])
@pytest.mark.parametrize("size", [20, 23])
def test_skipped_lines_are_zero(pattern, size):
    """Skip lines in the Fourier transform of NumPy; those of the centre are all there."""
    image = volume(5, size, 4, 1)
    layer = RandomUndersampling(acceleration=(1, 5), centre=(0, 0.4), pattern=pattern, axes=[0])
    draws = layer.sample(make_keys(5), image.shape)
    actual = to_arrays(layer.apply(image, draws))[0]
    draws = {name: to_arrays(x)[0] for name, x in draws.items()}
    frequency = np.arange(size) - size // 2
    for row in range(5):
        kept = np.abs(frequency) <= draws["centre"][row] * size / 2
        factor = float(draws["acceleration"][row])
        if pattern == "regular":
            kept |= np.isin(frequency, np.ceil(np.arange(-size, size) * factor))
        else:
            kept |= draws["chance"][row, :size] < 1 / factor
        weights = np.fft.ifftshift(kept)[:, None, None]
        expected = np.abs(np.fft.ifft(np.fft.fft(image[row], axis=0) * weights, axis=0))
        np.testing.assert_allclose(actual[row], expected, atol=1e-5)


@pytest.mark.parametrize("pattern", ["regular", "random"])
def test_one_line_in_several_is_kept(pattern):
    """The energy of an impulse, the same in all lines, counts them."""
    image = np.zeros((200, 60, 1, 1), "float32")
    image[:, 30] = 1
    layer = RandomUndersampling(acceleration=2.5, centre=0, pattern=pattern, axes=[0])
    lines = 60 * np.sum(to_arrays(layer(image, make_keys(200)))[0] ** 2, axis=(1, 2, 3))
    if pattern == "regular":
        np.testing.assert_allclose(lines, 24, atol=1e-3)
    else:
        check_mean(lines, 1 + 59 / 2.5)


def test_draws_are_uniform():
    layer = RandomUndersampling(acceleration=(2, 6), centre=(0.1, 0.3))
    draws = layer.sample(make_keys(300), (300, 4, 4, 4, 1))
    draws = {name: to_arrays(x)[0] for name, x in draws.items()}
    check_mean(draws["acceleration"], 4)
    check_mean(draws["centre"], 0.2)
    for axis in range(3):
        check_mean(draws["axis"] == axis, 1 / 3)
