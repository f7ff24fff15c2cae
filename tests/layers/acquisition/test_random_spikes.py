import numpy as np
import pytest

from synthtf.layers import RandomSpikes
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomSpikes(RandomLayerContract):
    layer = RandomSpikes
    arguments = {"intensity": (0.3, 0.9)}
    variants = [{"num_spikes": 2}]
    identity_arguments = {"intensity": 0}
    invalid = [
        ({"num_spikes": -1}, "`num_spikes` must lie in"),
        ({"num_spikes": 1.5}, "`num_spikes` must be whole numbers"),
        ({"intensity": (0.5, 0.1)}, "low <= high"),
        ({"intensity": -1}, "`intensity` must lie in"),
    ]


@pytest.mark.parametrize("shape", [(12, 9), (6, 7, 8)])
def test_spikes_are_single_points_of_kspace(shape):
    """Add them in the Fourier transform of NumPy, relative to its largest value."""
    image = np.random.default_rng(0).uniform(size=(4, *shape, 2)).astype("float32")
    layer = RandomSpikes(num_spikes=(1, 3), intensity=(0.2, 0.8))
    draws = {name: to_arrays(x)[0] for name, x in layer.sample(make_keys(4), image.shape).items()}
    # Phases of whole thousandths of a turn.
    draws["phase"] = np.floor(draws["phase"] * 1000 + 0.5).astype("float32") / 1000 + 1e-5
    actual = to_arrays(layer.apply(image, draws))[0]
    size = np.array(shape)
    for row in range(4):
        for channel in range(2):
            kspace = np.fft.fftn(image[row, ..., channel].astype("float64"))
            largest = np.abs(kspace).max()
            for spike in range(draws["num_spikes"][row]):
                where = np.floor(draws["position"][row, spike] * size).astype(int) - size // 2
                wave = np.exp(2j * np.pi * draws["phase"][row, spike])
                kspace[tuple(where)] += draws["intensity"][row, spike] * largest * wave
            expected = np.abs(np.fft.ifftn(kspace))
            np.testing.assert_allclose(actual[row, ..., channel], expected, atol=3e-4)


def test_no_spikes():
    image = np.random.default_rng(0).uniform(size=(2, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(RandomSpikes(num_spikes=0)(image), image, atol=1e-6)


def test_draws_are_uniform():
    layer = RandomSpikes(num_spikes=(1, 4), intensity=(0.2, 0.6))
    draws = layer.sample(make_keys(300), (300, 8, 8, 8, 1))
    draws = {name: to_arrays(x)[0] for name, x in draws.items()}
    assert draws["position"].shape == (300, 4, 3)
    for name, mean in {"num_spikes": 2.5, "intensity": 0.4, "position": 0.5, "phase": 0.5}.items():
        check_mean(draws[name], mean)
    assert set(draws["num_spikes"]) == {1, 2, 3, 4}
