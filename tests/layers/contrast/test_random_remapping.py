import numpy as np
import pytest

from synthtf.layers import RandomRemapping
from synthtf.testing import RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomRemapping(RandomLayerContract):
    layer = RandomRemapping
    arguments = {"strength": (0.5, 1)}
    variants = [{"increasing": 1, "control_points": 2}]
    identity_arguments = {"strength": 0}
    invalid = [
        ({"control_points": 1}, "`control_points` must lie in"),
        ({"control_points": (3, 4.5)}, "`control_points` must be whole numbers"),
        ({"increasing": 2}, "`increasing` must lie in"),
        ({"keep_zero": -1}, "`keep_zero` must lie in"),
        ({"strength": (0.5, 1.5)}, "`strength` must lie in"),
        ({"locality": (0.5, 0.1)}, "low <= high"),
    ]


def curves(num, points=101, edit=None, **arguments):
    """Curves of several keys, on a ramp from zero to one."""
    ramp = np.linspace(0, 1, points, dtype="float32").reshape(1, points, 1, 1)
    layer = RandomRemapping(
        **{"strength": 1, "locality": 0, "keep_zero": 0, "name": "curve", **arguments}
    )
    draws = {**layer.sample(make_keys(num), ramp.shape), **(edit or {})}
    return to_arrays(layer.apply(repeat(ramp, num), draws))[0].reshape(num, points)


@pytest.mark.parametrize("shape", [(2, 9, 7, 3), (2, 6, 5, 4, 3)])
def test_known_values_are_interpolated(shape):
    """Those beyond the points in use do not matter."""
    image = np.random.default_rng(0).uniform(size=shape).astype("float32")
    image.reshape(-1)[:4] = 0, 1, 0.25, 0.5
    values = np.random.default_rng(1).uniform(size=(2, 3, 6)).astype("float32")
    layer = RandomRemapping(control_points=(2, 6), strength=1, locality=0)
    points = np.array([5, 3], "int32")
    draws = layer.sample(make_keys(2), shape)
    out = to_arrays(layer.apply(image, {**draws, "values": values, "num_points": points}))[0]
    for k, n in enumerate(points):
        for c in range(3):
            expected = np.interp(image[k, ..., c], np.linspace(0, 1, n), values[k, c, :n])
            np.testing.assert_allclose(out[k, ..., c], expected, atol=1e-6)


def test_share_of_increasing_curves():
    steps = np.diff(curves(150, increasing=0.3, control_points=(6, 9)), axis=1)
    check_mean((steps > -1e-6).all(1), 0.3)
    assert (np.diff(curves(30, increasing=1), axis=1) > -1e-6).all()


def test_values_of_the_points_are_uniform():
    out = curves(150, points=3, control_points=3, increasing=0)
    check_mean(out, 1 / 2)
    check_mean(out**2, 1 / 3)


def test_largest_of_sorted_values():
    """The expectations of three sorted uniform numbers are quarters."""
    out = curves(150, points=3, control_points=(3, 3), increasing=1)
    for k in range(3):
        check_mean(out[:, k], (k + 1) / 4)


def test_share_of_curves_that_keep_zero():
    free, kept = (curves(100, control_points=4, keep_zero=p) for p in (0, 0.3))
    is_kept = kept[:, 0] == 0
    check_mean(is_kept, 0.3)
    np.testing.assert_array_equal(kept[~is_kept], free[~is_kept])
    np.testing.assert_allclose(kept[:, 34:], free[:, 34:], atol=1e-6)  # from the second point


def test_strength_mixes_with_the_identity():
    ramp, full = np.linspace(0, 1, 101), curves(2)
    np.testing.assert_allclose(curves(2, strength=0.25), ramp + 0.25 * (full - ramp), atol=1e-6)


def test_locality_spares_places():
    """With two points of the field per axis, its weight is bilinear between the corners."""
    image = np.full((1, 5, 9, 1), 0.5, "float32")
    layer = RandomRemapping(strength=0.8, locality=0.75)
    draws = layer.sample(make_keys(1), image.shape)
    draws["values"] = np.ones_like(to_arrays(draws["values"])[0])
    draws["control_points"] = np.array([[2, 2]], "int32")
    draws["noise"] = np.zeros_like(to_arrays(draws["noise"])[0])
    draws["noise"][0, 1, 1] = 1
    out = to_arrays(layer.apply(image, draws))[0][0, ..., 0]
    product = np.linspace(0, 1, 5)[:, None] * np.linspace(0, 1, 9)
    np.testing.assert_allclose(out - 0.5, 0.5 * 0.8 * (1 - 0.75 * product), atol=1e-6)


def test_channels_have_curves_of_their_own():
    ramp = np.repeat(np.linspace(0, 1, 9, dtype="float32").reshape(1, 9, 1, 1), 2, axis=3)
    out = to_arrays(RandomRemapping()(ramp, make_keys(1)))[0]
    assert np.abs(out[..., 0] - out[..., 1]).max() > 0.01


def test_clips_what_lies_outside():
    image = np.array([-1, 0, 1, 7], "float32").reshape(1, 4, 1, 1)
    layer = RandomRemapping(locality=0)
    out, clipped = (to_arrays(layer(x, make_keys(1)))[0] for x in (image, np.clip(image, 0, 1)))
    np.testing.assert_array_equal(out, clipped)
    assert (out >= 0).all() and (out <= 1).all()
