import numpy as np
import pytest

from synthtf.layers import RandomMix
from synthtf.testing import BATCH, SHAPES, RandomLayerContract, check_mean, make_keys, to_arrays


def normalized(image):
    axes = tuple(range(1, image.ndim - 1))
    low, high = (f(image, axis=axes, keepdims=True) for f in (np.min, np.max))
    return (image - low) / (high - low)


class TestRandomMix(RandomLayerContract):
    layer = RandomMix
    arguments = {"weight": (0.2, 0.7)}
    identity_arguments = {"weight": 1}
    invalid = [
        ({"weight": (0.5, 0.2)}, "low <= high"),
        ({"weight": 1.2}, r"`weight` must lie in \[0, 1\]"),
    ]

    def make_inputs(self, ndim):
        """A real image in raw units and a synthetic one."""
        generator = np.random.default_rng(ndim)
        shape = (BATCH, *SHAPES[ndim], 1)
        pair = [generator.uniform(-5, 900, shape), generator.uniform(size=shape)]
        return [x.astype("float32") for x in pair], make_keys(BATCH)

    def expected_identity(self, inputs):
        """The real image, normalised."""
        return normalized(inputs[0])


@pytest.mark.parametrize("ndim", [2, 3])
def test_weighted_mean_of_normalised_images(ndim):
    pair, _ = TestRandomMix().make_inputs(ndim)
    layer = RandomMix()
    weight = np.array([0, 0.25, 0.5, 1], "float32")
    out = to_arrays(layer.apply(pair, {"weight": weight}))[0]
    for k, w in enumerate(weight):
        real, synthetic = (normalized(x)[k] for x in pair)
        np.testing.assert_allclose(out[k], w * real + (1 - w) * synthetic, atol=1e-5)


def test_weight_is_uniform():
    real = np.tile(np.array([0, 1], "float32").reshape(1, 2, 1, 1), (200, 1, 1, 1))
    out = to_arrays(RandomMix(weight=(0.2, 0.6))([real, np.zeros_like(real)], make_keys(200)))[0]
    check_mean(out[:, 1], 0.4)
    check_mean((out[:, 1] - 0.4) ** 2, 0.4**2 / 12)
