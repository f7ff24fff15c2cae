import numpy as np
import pytest

from synthtf.layers import RandomClip
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomClip(RandomLayerContract):
    layer = RandomClip
    arguments = {"low": (0.1, 0.3), "high": (0.1, 0.3)}
    variants = [{"foreground": False}]
    identity_arguments = {"low": 0, "high": 0}
    invalid = [
        ({"low": 0.6}, r"`low` must lie in \[0, 0.5\]"),
        ({"high": (0.2, 0.1)}, "low <= high"),
        ({"foreground": "yes"}, "`foreground` must be"),
    ]


def clip(image, **arguments):
    return to_arrays(RandomClip(**arguments)(image, make_keys(len(image))))[0]


@pytest.mark.parametrize("low,high", [(0.1, 0.25), (0, 0.031), (0.02, 0)])
@pytest.mark.parametrize("foreground", [True, False])
def test_clips_at_the_quantiles_of_numpy(low, high, foreground):
    image = np.random.default_rng(0).normal(size=(2, 20, 30, 2)).astype("float32")
    out = clip(image, low=low, high=high, foreground=foreground)
    for row in range(2):
        for c in range(2):
            x = image[row, ..., c].astype("float64")
            counted = x[x > 0] if foreground else x
            expected = np.clip(x, *np.quantile(counted, (low, 1 - high)))
            expected = np.where(x > 0, expected, x) if foreground else expected
            np.testing.assert_allclose(out[row, ..., c], expected, atol=1e-5)


def test_large_volumes_are_sampled():
    image = np.random.default_rng(1).uniform(size=(1, 400, 500, 1)).astype("float32")
    out = clip(image, low=0.02, high=0.1, foreground=False)
    assert abs(out.min() - 0.02) < 0.004 and abs(out.max() - 0.9) < 0.008
    # Nothing is clipped for a proportion of zero, although the largest voxel is not sampled.
    np.testing.assert_array_equal(clip(image, low=0, high=0), image)


def test_images_without_foreground_stay():
    image = -np.ones((1, 4, 4, 1), "float32")
    np.testing.assert_array_equal(clip(image, low=0.1, high=0.1), image)


def test_proportions_are_uniform():
    draws = RandomClip(low=(0, 0.02), high=(0.1, 0.3)).sample(make_keys(300), (300, 4, 4, 1))
    check_mean(to_arrays(draws["low"])[0], 0.01)
    check_mean(to_arrays(draws["high"])[0], 0.2)
