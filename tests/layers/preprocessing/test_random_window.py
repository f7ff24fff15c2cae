import numpy as np
import pytest

from synthtf.layers import RandomWindow
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomWindow(RandomLayerContract):
    layer = RandomWindow
    arguments = {"level": (0.3, 0.5), "width": (0.2, 0.6)}
    identity_arguments = {"level": 0.5, "width": 1}
    invalid = [
        ({"level": (50, 30)}, "low <= high"),
        ({"width": -1}, "`width` must lie in"),
        ({"width": (0, 80)}, "`width` must lie in"),
    ]


@pytest.mark.parametrize(("level", "width"), [(40, 80), (300, 1500), (-600, 1200)])
def test_is_linear_interpolation_between_the_ends(level, width):
    image = np.linspace(-1000, 2000, 301).astype("float32").reshape(1, 301, 1, 1)
    out = to_arrays(RandomWindow(level=level, width=width)(image, make_keys(1)))[0]
    expected = np.interp(image, [level - width / 2, level + width / 2], [0, 1])
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_level_and_width_are_uniform():
    """Read off where two values inside every window come to lie."""
    image = np.tile(np.array([35, 45], "float32").reshape(1, 2, 1, 1), (200, 1, 1, 1))
    low, high = to_arrays(RandomWindow((30, 50), width=(60, 120))(image, make_keys(200)))[0][
        :, :, 0, 0
    ].T
    width = 10 / (high - low)
    check_mean(width, 90)
    check_mean(35 + (0.5 - low) * width, 40)
