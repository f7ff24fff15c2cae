import numpy as np
import pytest
from scipy import ndimage

from synthtf.layers import RandomDistortion
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomDistortion(RandomLayerContract):
    layer = RandomDistortion
    kind = "both"
    arguments = {"shift": (1, 3)}
    variants = [{"spacing": 2.0, "control_points": (2, 3)}]
    identity_arguments = {"shift": 0}
    invalid = [
        ({"shift": -1}, "`shift` must lie in"),
        ({"control_points": 1}, "`control_points` must lie in"),
        ({"control_points": (2, 2.5)}, "`control_points` must be whole"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def test_an_image_alone_moves_as_with_its_labels():
    rng = np.random.default_rng(0)
    image = rng.uniform(size=(2, 12, 10, 1)).astype("float32")
    labels = rng.integers(0, 9, size=image.shape).astype("int32")
    layer = RandomDistortion(shift=2, name="tested")
    alone = to_arrays(layer(image, make_keys(2)))
    pair = to_arrays(layer([image, labels], make_keys(2)))
    np.testing.assert_array_equal(alone[0], pair[0])
    assert (pair[1] != labels).any()


def linear_draws(shape, axis, shift, points=4):
    """A field whose slope along one axis is constant."""
    lattice = np.broadcast_to(
        np.expand_dims(
            np.arange(points + 2.0) - (points + 1) / 2, [d for d in range(len(shape)) if d != axis]
        ),
        (points + 2,) * len(shape),
    )
    return {
        "axis": np.array([axis], "int32"),
        "shift": np.array([shift], "float32"),
        "control_points": np.full((1, len(shape)), points, "int32"),
        "lattice": lattice[None].astype("float32"),
    }


def blobs(shape, std, seed=0):
    """A smooth image that is dark at its border."""
    image = np.random.default_rng(seed).standard_normal(shape)
    for d, n in enumerate(shape):
        image = image * np.expand_dims(
            np.abs(np.arange(n) - (n - 1) / 2) < n / 4, [k for k in range(len(shape)) if k != d]
        )
    return (5 + ndimage.gaussian_filter(image, std) * std) * (
        ndimage.gaussian_filter((image != 0).astype(float), std)
    ).astype("float32")


@pytest.mark.parametrize(("shape", "axis"), [((41, 33), 0), ((41, 33), 1), ((15, 31, 17), 1)])
def test_constant_gradient_is_a_stretch(shape, axis):
    n, shift = shape[axis], 3.0
    image = np.random.default_rng(0).uniform(size=shape).astype("float32")
    labels = np.random.default_rng(1).integers(0, 50, size=shape).astype("int32")
    layer = RandomDistortion(shift=shift)
    pair = [x[None, ..., None] for x in (image, labels)]
    out, moved = (
        x[0, ..., 0] for x in to_arrays(layer.apply(pair, linear_draws(shape, axis, shift)))
    )
    gradient = 2 * shift / (n - 1)
    at = np.arange(n) + gradient * (np.arange(n) - (n - 1) / 2)
    lines = np.moveaxis(image, axis, -1).reshape(-1, n)
    expected = [np.interp(at, np.arange(n), line) * (1 + gradient) for line in lines]
    found = np.moveaxis(out, axis, -1).reshape(-1, n)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    nearest = np.clip(np.rint(at), 0, n - 1).astype(int)
    clear = np.abs(at % 1 - 0.5) > 1e-3
    expected = np.take(labels, nearest[clear], axis=axis)
    np.testing.assert_array_equal(np.compress(clear, moved, axis=axis), expected)


@pytest.mark.parametrize("shape", [(64, 60), (40, 40, 40)])
def test_intensity_is_conserved_on_every_line(shape):
    image = np.repeat(blobs(shape, 3.0)[None, ..., None], 8, axis=0).astype("float32")
    layer = RandomDistortion(shift=4, control_points=(3, 4), name="tested")
    draws = layer.sample(make_keys(8), image.shape)
    out = to_arrays(layer.apply(image, draws))[0]
    axis = to_arrays(draws["axis"])[0]
    assert len(set(axis)) == len(shape)
    for k in range(8):
        before, after = image[k, ..., 0].sum(axis[k]), out[k, ..., 0].sum(axis[k])
        np.testing.assert_allclose(after, before, atol=0.01 * before.max())
        assert np.abs(out[k] - image[k]).max() > 0.1 * image.max()


def displacement(shape, num=8, **arguments):
    """In voxels, read off an image of each axis' coordinate, without the Jacobian."""
    layer = RandomDistortion(name="tested", **arguments)
    draws = layer.sample(make_keys(num), (num, *shape, 1))
    field, slope = to_arrays(layer._field(shape, draws))
    return field, slope, to_arrays(draws["axis"])[0]


def test_slope_is_the_derivative_and_lines_do_not_fold():
    field, slope, axis = displacement((60, 50), shift=(1, 40), control_points=(3, 6))
    for f, s, a in zip(field, slope, axis, strict=True):
        numeric = np.gradient(f, axis=a)
        np.testing.assert_allclose(s[2:-2, 2:-2], numeric[2:-2, 2:-2], atol=0.03 * np.abs(s).max())
        assert s.min() >= -0.9001
    assert np.isclose(slope.min((1, 2)), -0.9, atol=1e-3).any()


def test_shift_is_the_largest_in_mm():
    fine = displacement((60, 50), shift=3, spacing=(1.0, 2.0))
    for f, a in zip(fine[0], fine[2], strict=True):
        assert np.abs(f).max() == pytest.approx(3 / (1.0, 2.0)[a], rel=1e-4)
    assert set(fine[2]) == {0, 1}
    at_one = displacement((60, 50), shift=2)[0]
    np.testing.assert_allclose(displacement((60, 50), shift=4, spacing=2.0)[0], at_one, atol=1e-5)


def test_axis_and_sign_are_random():
    field, _, axis = displacement((12, 10, 8), num=100, shift=1)
    for d in range(3):
        check_mean(axis == d, 1 / 3)
    check_mean(field.mean((1, 2, 3)), 0)
