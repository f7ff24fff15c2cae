import numpy as np
import pytest

from synthtf.layers import RandomQuantization
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomQuantization(RandomLayerContract):
    layer = RandomQuantization
    arguments = {"bits": (1, 6)}
    identity_arguments = {"bits": 16}
    num_outcomes = 4
    invalid = [
        ({"bits": 0}, r"`bits` must lie in \[1, 16\]"),
        ({"bits": (2, 20)}, r"`bits` must lie in \[1, 16\]"),
        ({"bits": 2.5}, "`bits` must be whole numbers"),
    ]


@pytest.mark.parametrize("bits", [1, 3, 8, 12])
def test_voxels_take_the_nearest_of_equal_levels(bits):
    image = np.random.default_rng(0).normal(3, 2, (2, 40, 50, 1)).astype("float32")
    out = to_arrays(RandomQuantization(bits=bits)(image, make_keys(2)))[0]
    for x, y in zip(image, out, strict=True):
        levels = np.linspace(x.min(), x.max(), 2**bits)
        expected = levels[np.abs(x - levels).argmin(-1)]
        half = (x.max() - x.min()) / (2**bits - 1) / 2
        sure = np.abs(np.abs(x[..., 0] - expected) - half) > 1e-5  # no draw between two levels
        np.testing.assert_allclose(y[..., 0][sure], expected[sure], atol=1e-5)
        assert len(np.unique(y)) <= 2**bits
    if bits < 8:
        assert len(np.unique(out[0])) == 2**bits


def test_channels_have_their_own_range():
    image = np.random.default_rng(1).uniform(size=(1, 9, 9, 2)).astype("float32") * [1, 100]
    out = to_arrays(RandomQuantization(bits=3)(image.astype("float32"), make_keys(1)))[0]
    assert [len(np.unique(out[..., c])) for c in (0, 1)] == [8, 8]


def test_constant_images_stay():
    image = np.full((1, 4, 4, 1), 0.3, "float32")
    np.testing.assert_array_equal(to_arrays(RandomQuantization()(image))[0], image)


def test_bits_are_uniform():
    bits = RandomQuantization(bits=(4, 12)).sample(make_keys(300), (300, 4, 4, 1))["bits"]
    bits = to_arrays(bits)[0]
    check_mean(bits, 8)
    assert bits.min() == 4 and bits.max() == 12
