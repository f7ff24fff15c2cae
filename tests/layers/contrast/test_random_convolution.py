import numpy as np
import pytest
from scipy.ndimage import correlate

from synthtf.layers import RandomConvolution
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomConvolution(RandomLayerContract):
    layer = RandomConvolution
    arguments = {"radius": (0, 2), "weight": (0.5, 1)}
    variants = [{"radius": 0}, {"radius": (1, 1), "weight": 1}]
    identity_arguments = {"weight": 0}
    invalid = [
        ({"radius": -1}, "`radius` must lie in"),
        ({"radius": 1.5}, "`radius` must be whole numbers"),
        ({"radius": (2, 1)}, "low <= high"),
        ({"weight": (0, 2)}, r"`weight` must lie in \[0, 1\]"),
    ]


@pytest.mark.parametrize("radius", [0, 1, 2])
@pytest.mark.parametrize("shape", [(11, 9), (9, 7, 8)])
def test_is_a_correlation_brought_back_to_the_range_of_the_image(radius, shape):
    """All input channels enter an output channel; entries beyond the drawn radius do not."""
    image = np.random.default_rng(0).normal(size=(2, *shape, 2)).astype("float32")
    layer = RandomConvolution(radius=(0, 2))
    draws = layer.sample(make_keys(2), image.shape)
    draws |= {"radius": np.full(2, radius, "int32"), "weight": np.full(2, 0.7, "float32")}
    out = to_arrays(layer.apply(image, draws))[0]
    kernel = to_arrays(draws["kernel"])[0]
    used = (slice(2 - radius, 3 + radius),) * len(shape)
    for sample, one in enumerate(image):
        for channel in range(2):
            expected = sum(
                correlate(one[..., c], kernel[sample][used][..., c, channel], mode="constant")
                for c in range(2)
            )
            low, high = one[..., channel].min(), one[..., channel].max()
            expected = low + (high - low) * (expected - expected.min()) / np.ptp(expected)
            expected = 0.3 * one[..., channel] + 0.7 * expected
            np.testing.assert_allclose(out[sample, ..., channel], expected, atol=1e-4)


def test_a_single_entry_keeps_or_inverts_the_image():
    image = np.random.default_rng(0).uniform(size=(8, 9, 8, 1)).astype("float32")
    image = np.repeat(image[:1], 60, axis=0)
    out = to_arrays(RandomConvolution(radius=0, weight=1)(image, make_keys(60)))[0]
    kept = np.abs(out - image).max((1, 2, 3)) < 1e-5
    inverted = np.abs(out - (image.min() + image.max() - image)).max((1, 2, 3)) < 1e-5
    assert (kept ^ inverted).all()
    check_mean(kept, 0.5)


def test_a_constant_image_stays():
    image = np.full((1, 8, 8, 1), 0.3, "float32")
    np.testing.assert_array_equal(
        to_arrays(RandomConvolution(weight=1)(image, make_keys(1)))[0], image
    )


def test_draws_have_their_distributions():
    draws = RandomConvolution().sample(make_keys(100), (100, 4, 4, 1))
    radius, weight, kernel = to_arrays([draws[n] for n in ("radius", "weight", "kernel")])
    check_mean(radius, 1.5)
    check_mean((radius - 1.5) ** 2, (16 - 1) / 12)
    check_mean(weight, 0.5)
    check_mean(kernel, 0)
    check_mean(kernel**2, 1)
