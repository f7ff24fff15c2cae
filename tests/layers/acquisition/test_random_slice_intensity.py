import numpy as np
import pytest

from synthtf.layers import RandomSliceIntensity
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomSliceIntensity(RandomLayerContract):
    layer = RandomSliceIntensity
    arguments = {"proportion": (0.3, 0.7)}
    variants = [{"spacing": 2.0, "axes": (1,), "thickness": 0.5}]
    identity_arguments = {"proportion": 0, "interleave_gain": 1}
    invalid = [
        ({"proportion": 1.2}, r"`proportion` must lie in \[0, 1\]"),
        ({"gain": -0.1}, "`gain` must lie in"),
        ({"interleave_gain": (1, 0.5)}, "low <= high"),
        ({"thickness": 0}, "`thickness` must lie in"),
        ({"axes": (5,)}, "`axes` must be different spatial axes"),
    ]


def gains(changes=None, size=24, num=1, **arguments):
    """Gain of each position along axis 0, seen through images of one."""
    layer = RandomSliceIntensity(axes=(0,), **arguments)
    image = np.ones((num, size, 2, 1), "float32")
    draws = {**layer.sample(make_keys(num), image.shape), **(changes or {})}
    out = to_arrays(layer.apply(image, draws))[0]
    np.testing.assert_array_equal(out[:, :, 0], out[:, :, 1])
    return out[:, :, 0, 0], {name: to_arrays(x)[0] for name, x in draws.items()}


@pytest.mark.parametrize("thickness,spacing", [(3, 1), (4.5, 1.5), (1, 1)])
def test_slices_have_the_gains_that_were_drawn(thickness, spacing):
    phase = np.zeros(1, "float32")
    out, draws = gains({"phase": phase}, thickness=thickness, spacing=spacing, proportion=0.5)
    index = np.arange(24) // int(thickness / spacing)
    own = np.where(draws["chance"] < 0.5, draws["gain"], 1)[0, index]
    interleave = draws["interleave_gain"][0, index % draws["num_interleaves"][0]]
    np.testing.assert_allclose(out[0], own * interleave, rtol=1e-6)
    assert len(np.unique(out[0])) > 2


def test_one_axis_and_no_sign_of_others():
    layer = RandomSliceIntensity(proportion=0.5, thickness=1)
    out = to_arrays(layer(np.ones((30, 9, 8, 7, 1), "float32"), make_keys(30)))[0][..., 0]
    varies = np.stack([np.ptp(out, axis=a).reshape(30, -1).max(1) > 0 for a in (1, 2, 3)])
    assert (varies.sum(0) == 1).all() and varies.any(1).all()


def test_proportion_and_gain_are_uniform():
    arguments = {"proportion": (0.2, 0.6), "gain": (0.2, 0.8), "interleave_gain": 1}
    out = gains(num=100, thickness=1, **arguments)[0]
    check_mean((out != 1).mean(1), 0.4)
    check_mean(out[out != 1], 0.5)
    spread = gains(num=100, proportion=0, interleave_gain=(0.9, 1.1))[0]
    check_mean(spread.mean(1), 1)
    assert spread.min() >= 0.9 and spread.max() <= 1.1
