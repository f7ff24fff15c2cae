import numpy as np
import pytest

from synthtf.layers import RandomGamma
from synthtf.testing import RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomGamma(RandomLayerContract):
    layer = RandomGamma
    identity_arguments = {"gamma": 1}
    invalid = [
        ({"gamma": 0}, "`gamma` must lie in"),
        ({"gamma": (2, 1)}, "low <= high"),
        ({"gamma": None}, "`gamma` must be a number or"),
    ]

    def expected_identity(self, inputs):
        """A sample that is left alone is still normalised."""
        axes = tuple(range(1, inputs.ndim))
        low, high = (f(inputs, axis=axes, keepdims=True) for f in (np.min, np.max))
        return (inputs - low) / (high - low)


@pytest.mark.parametrize("shape", [(1, 64, 1, 1), (1, 4, 4, 4, 1)])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 1.7])
def test_power_of_the_normalised_image(shape, gamma):
    image = np.linspace(-3, 5, 64, dtype="float32").reshape(shape)
    out = to_arrays(RandomGamma(gamma=gamma)(image, make_keys(1)))[0]
    np.testing.assert_allclose(out, ((image + 3) / 8) ** gamma, atol=2e-6)


def test_exponent_is_uniform():
    image = np.array([0, 0.5, 1], "float32").reshape(1, 3, 1, 1)
    out = to_arrays(RandomGamma()(repeat(image, 300), make_keys(300)))[0]
    gamma = np.log(out[:, 1, 0, 0]) / np.log(0.5)
    assert gamma.min() >= 0.5 - 1e-5 and gamma.max() <= 1.5 + 1e-5
    check_mean(gamma, 1)
    check_mean((gamma - 1) ** 2, 1 / 12)
