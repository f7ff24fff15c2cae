import numpy as np
import pytest

from synthtf.layers import RandomZipper
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomZipper(RandomLayerContract):
    layer = RandomZipper
    arguments = {"intensity": (1, 2)}
    variants = [{"axes": [1], "width": 5, "spacing": 2.0}]
    identity_arguments = {"intensity": 0}
    invalid = [
        ({"intensity": -1}, "`intensity` must lie in"),
        ({"width": (2, 1)}, "low <= high"),
        ({"axes": 0}, "`axes` must be different spatial axes"),
        ({"spacing": -1}, "`spacing` must be positive"),
    ]


def zipped(image, num, **arguments):
    image = np.repeat(image, num, axis=0)
    layer = RandomZipper(**arguments)
    draws = layer.sample(make_keys(num), image.shape)
    return to_arrays(layer.apply(image, draws))[0], {k: to_arrays(x)[0] for k, x in draws.items()}


def changed(out, image, axis):
    """Which slices across an axis are changed."""
    axes = tuple(a for a in range(out.ndim) if a != axis)
    return np.abs(out - image).max(axis=axes) > 1e-6


@pytest.mark.parametrize("shape", [(13, 12), (9, 8, 7)])
def test_one_position_along_one_axis(shape):
    image = np.random.default_rng(0).uniform(0.5, 1, (1, *shape, 1)).astype("float32")
    out, draws = zipped(image, 20, intensity=2, width=1)
    for row in range(20):
        axis = draws["axis"][row]
        where = np.flatnonzero(changed(out[row], image[0], axis))
        assert where.tolist() == [int(draws["position"][row] * shape[axis])]
        for other in set(range(len(shape))) - {axis}:
            assert changed(out[row], image[0], other).all()


@pytest.mark.parametrize("width, spacing", [(6.0, 2.0), (1.5, 0.5), (0.0, 1.0), (5.0, (1.0, 9.0))])
def test_width_is_in_mm(width, spacing):
    """Against the width over the voxel size, at least one voxel."""
    image = np.ones((1, 41, 6, 1), "float32")
    out, draws = zipped(image, 8, intensity=0.01, width=width, axes=[0], spacing=spacing)
    expected = max(width / np.broadcast_to(spacing, 2)[0], 1)
    for row in range(8):
        if not 5 < draws["position"][row] * 41 < 36:
            continue
        noise = draws["noise_0"][row, 0]
        # Weak noise adds to the magnitude by its real part alone.
        profile = (out[row, ..., 0] - 1) @ noise / (0.01 * noise @ noise)
        np.testing.assert_allclose(profile.sum(), expected, rtol=0.1)
        assert np.count_nonzero(profile > 0.9) == expected


def test_the_line_is_rician_noise_about_the_image():
    """`E|c + s (n₁ + i n₂)|² = c² + 2 s²` for an intensity s, relative to the mean."""
    image = np.full((1, 40, 40, 1), 0.5, "float32")
    out, draws = zipped(image, 40, intensity=1.5, width=1, axes=[0])
    rows = (draws["position"] * 40).astype(int)
    line = out[np.arange(40), rows]
    check_mean(line**2, 0.5**2 * (1 + 2 * 1.5**2))
    assert abs(np.corrcoef(line[:, 1:].ravel(), line[:, :-1].ravel())[0, 1]) < 0.1


def test_draws_are_uniform():
    layer = RandomZipper(intensity=(1, 3), width=(2, 6))
    draws = layer.sample(make_keys(300), (300, 4, 4, 4, 1))
    draws = {name: to_arrays(x)[0] for name, x in draws.items()}
    for name, mean in {"intensity": 2, "width": 4, "position": 0.5, "noise_1": 0}.items():
        check_mean(draws[name], mean)
    for axis in range(3):
        check_mean(draws["axis"] == axis, 1 / 3)
