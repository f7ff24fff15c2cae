import numpy as np
import pytest

from synthtf.layers import RandomGhosting
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomGhosting(RandomLayerContract):
    layer = RandomGhosting
    arguments = {"intensity": (0.5, 1), "num_ghosts": (2, 4)}
    variants = [{"num_ghosts": 2, "axes": [1], "centre": (0, 0.5)}]
    identity_arguments = {"intensity": 0}
    invalid = [
        ({"num_ghosts": 1}, "`num_ghosts` must lie in"),
        ({"num_ghosts": (2, 3.5)}, "`num_ghosts` must be whole numbers"),
        ({"intensity": (0, 1.2)}, r"`intensity` must lie in \[0, 1\]"),
        ({"centre": -0.1}, "`centre` must lie in"),
        ({"axes": [0, 0]}, "`axes` must be different spatial axes"),
    ]


def volume(*shape):
    return np.random.default_rng(0).uniform(size=(1, *shape, 1)).astype("float32")


@pytest.mark.parametrize("shape", [(12, 10), (6, 8, 12)])
def test_alternating_lines_give_a_copy_half_a_field_of_view_away(shape):
    image = volume(*shape)
    for axis in range(len(shape)):
        layer = RandomGhosting(num_ghosts=2, intensity=0.6, centre=0, axes=[axis])
        shifted = np.roll(image, shape[axis] // 2, axis=axis + 1)
        actual = to_arrays(layer(image, make_keys(1)))[0]
        np.testing.assert_allclose(actual, 0.7 * image + 0.3 * shifted, atol=1e-5)


def test_every_nth_line_gives_n_evenly_spaced_copies():
    """The closed form of the docstring, for each line that the comb may start from."""
    image = volume(20, 6)
    layer = RandomGhosting(num_ghosts=4, intensity=0.8, centre=0, axes=[0])
    draws = dict(layer.sample(make_keys(1), image.shape))
    for first in (1, 2, 3):
        draws["first"] = np.array([first], "int32")
        copies = sum(
            np.exp(2j * np.pi * first * j / 4) * np.roll(image, 5 * j, axis=1) for j in range(4)
        )
        actual = to_arrays(layer.apply(image, draws))[0]
        np.testing.assert_allclose(actual, np.abs(image - 0.2 * copies), atol=1e-5)


@pytest.mark.parametrize("size", [16, 19])
def test_lines_of_the_centre_are_left_alone(size):
    image = volume(size, 5)
    layer = RandomGhosting(num_ghosts=3, intensity=0.9, centre=0.4, axes=[0])
    draws = dict(layer.sample(make_keys(1), image.shape))
    frequency = np.fft.fftfreq(size, 1 / size)
    scaled = (frequency % 3 == int(to_arrays(draws["first"])[0][0])) & (
        np.abs(frequency) > 0.2 * size
    )
    weights = np.where(scaled, 0.1, 1.0)[None, :, None, None]
    expected = np.abs(np.fft.ifft(np.fft.fft(image, axis=1) * weights, axis=1))
    np.testing.assert_allclose(to_arrays(layer.apply(image, draws))[0], expected, atol=1e-5)
    assert 0 < scaled.sum() < size / 3


def test_draws_are_uniform():
    layer = RandomGhosting(num_ghosts=(2, 5), intensity=(0.2, 0.4))
    draws = layer.sample(make_keys(400), (400, 8, 8, 8, 1))
    draws = {name: to_arrays(x)[0] for name, x in draws.items()}
    check_mean(draws["intensity"], 0.3)
    for number in range(2, 6):
        check_mean(draws["num_ghosts"] == number, 1 / 4)
        first = draws["first"][draws["num_ghosts"] == number]
        assert set(first) == set(range(1, number))
    for axis in range(3):
        check_mean(draws["axis"] == axis, 1 / 3)
