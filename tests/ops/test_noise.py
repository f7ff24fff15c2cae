"""Smooth random fields."""

import numpy as np
import pytest
from scipy import ndimage

from synthtf.ops import noise
from synthtf.testing import to_arrays

SHAPES = [(13, 17), (9, 13, 11)]


def array(tensor):
    return to_arrays(tensor)[0]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def points(ndim, *rows):
    return np.array([[n] * ndim for n in rows], "int32")


def make(kind, shape, channels=2):
    """Fields of two samples with 5 and 3 control points per axis."""
    ndim, control = len(shape), points(len(shape), 5, 3)
    if kind == "value":
        return noise.value_noise(normal(2, *(5,) * ndim, channels), control, shape)
    if kind == "gaussian":
        std = np.full((2, ndim), 1.7, "float32")
        return noise.gaussian_noise(normal(2, *shape, channels), std)
    if kind == "perlin":
        return noise.perlin_noise(normal(2, *(5,) * ndim, channels, ndim), control, shape)
    octaves = [(control - 1) * 2**k + 1 for k in range(3)]
    gradients = [normal(2, *(17,) * ndim, channels, ndim, seed=k) for k in range(3)]
    return noise.fractal_noise(gradients, octaves, shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["value", "gaussian", "perlin", "fractal"])
def test_range_is_the_unit_interval_per_sample_and_channel(kind, shape):
    field = array(make(kind, shape))
    assert field.shape == (2, *shape, 2) and field.dtype == "float32"
    axes = tuple(range(1, len(shape) + 1))
    np.testing.assert_allclose(field.min(axes), 0, atol=1e-6)
    np.testing.assert_allclose(field.max(axes), 1, atol=1e-6)
    assert 0.1 < field.std() < 0.4


@pytest.mark.parametrize("shape", SHAPES)
def test_value_noise_interpolates_the_points_in_use(shape):
    """With 5 and 3 points along 13 and 17 voxels, points lie on voxels."""
    ndim = len(shape)
    values = normal(1, *(5,) * ndim, 1)
    field = array(noise.upsample_lattice(values, points(ndim, 3), shape))[0, ..., 0]
    used = values[(0, *(slice(3),) * ndim, 0)]
    steps = [np.linspace(0, 2, n) for n in shape]
    at = np.meshgrid(*steps, indexing="ij")
    np.testing.assert_allclose(field, ndimage.map_coordinates(used, at, order=1), atol=1e-5)


def test_control_points_may_differ_per_sample_and_axis():
    values = normal(2, 5, 5, 1)
    control = np.array([[5, 2], [2, 5]], "int32")
    field = array(noise.upsample_lattice(values, control, (17, 17)))[..., 0]
    bends = [np.abs(np.diff(field, 2, axis=a)).max((1, 2)) > 1e-4 for a in (1, 2)]
    np.testing.assert_array_equal(bends, [[True, False], [False, True]])


@pytest.mark.parametrize("shape", [(13, 17), (9, 13, 5)])
@pytest.mark.parametrize("fade", [True, False])
def test_perlin_is_zero_at_lattice_points_with_the_slope_of_its_gradient(shape, fade):
    ndim = len(shape)
    gradients = normal(1, *(3,) * ndim, 1, ndim)
    field = array(noise._perlin(gradients, points(ndim, 3), shape, fade))[0, ..., 0]
    lattice = tuple(slice(None, None, (n - 1) // 2) for n in shape)
    np.testing.assert_allclose(field[lattice], 0, atol=1e-6)
    assert np.abs(field).max() > 0.1


def brute_force_perlin(gradients, shape, fade):
    """The definition, voxel by voxel, for one sample with all control points in use."""
    ndim, lattice = len(shape), gradients.shape[:-1]
    gradients = gradients / np.linalg.norm(gradients, axis=-1, keepdims=True)
    out = np.zeros(shape)
    for voxel in np.ndindex(*shape):
        x = np.array([v * (m - 1) / (n - 1) for v, n, m in zip(voxel, shape, lattice, strict=True)])
        cell = np.minimum(np.floor(x).astype(int), np.array(lattice) - 2)
        for corner in np.ndindex(*(2,) * ndim):
            point = cell + corner
            t = 1 - np.abs(x - point)
            weight = 6 * t**5 - 15 * t**4 + 10 * t**3 if fade else t
            out[voxel] += np.prod(weight) * (gradients[tuple(point)] @ (x - point))
    return out


@pytest.mark.parametrize("shape", [(11, 9), (6, 7, 5)])
@pytest.mark.parametrize("fade", [True, False])
def test_perlin_is_its_definition(shape, fade):
    ndim = len(shape)
    gradients = normal(1, *(4,) * ndim, 1, ndim)
    field = array(noise._perlin(gradients, points(ndim, 4), shape, fade))[0, ..., 0]
    expected = brute_force_perlin(gradients[(0, ..., 0, slice(None))], shape, fade)
    np.testing.assert_allclose(field, expected, atol=1e-5)


def test_length_of_gradients_does_not_matter():
    gradients = normal(1, 4, 4, 1, 2)
    lengths = np.random.default_rng(1).uniform(0.1, 9, gradients.shape[:-1])[..., None]
    longer = (gradients * lengths).astype("float32")
    one, other = (array(noise.perlin_noise(g, points(2, 4), (9, 9))) for g in (gradients, longer))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_octaves_weigh_the_inverse_of_their_frequency():
    gradients = [normal(1, 9, 9, 1, 2, seed=k) for k in range(2)]
    control = [points(2, 3), points(2, 5)]
    field = array(noise.fractal_noise(gradients, control, (17, 17)))
    first, second = (noise._perlin(g, c, (17, 17)) for g, c in zip(gradients, control, strict=True))
    expected = array(noise.normalize(first / 2 + second / 4))
    np.testing.assert_allclose(field, expected, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_smoothing_keeps_the_largest_magnitude(shape):
    white = normal(2, *shape, 2)
    smooth = array(noise.smooth_noise(white, np.full((2, len(shape)), 1.5, "float32")))
    axes = tuple(range(1, len(shape) + 1))
    np.testing.assert_allclose(np.abs(smooth).max(axes), np.abs(white).max(axes), rtol=1e-5)
    assert np.abs(np.diff(smooth, axis=1)).mean() < 0.6 * np.abs(np.diff(white, axis=1)).mean()


def test_constant_becomes_zero():
    assert not array(noise.normalize(np.full((2, 4, 4, 1), 3, "float32"))).any()
