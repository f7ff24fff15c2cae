"""The smooth fields that layers share."""

import numpy as np
import pytest

from synthtf.layers.noise_field import (
    KINDS,
    draw_noise,
    lattice_size,
    make_noise,
)
from synthtf.ops.noise import perlin_noise
from synthtf.testing import check_mean, make_keys, rows, to_arrays


@pytest.mark.parametrize("shape", [(17, 13), (9, 7, 8)])
@pytest.mark.parametrize("noise", KINDS)
def test_fields_fill_the_unit_interval(noise, shape):
    draws = draw_noise(make_keys(3), noise, (2, 5), shape, 2, (1, 5))
    out = to_arrays(make_noise(draws, noise, shape))[0]
    assert out.shape == (3, *shape, 2) and out.dtype == "float32"
    axes = tuple(range(1, len(shape) + 1))
    np.testing.assert_allclose(out.min(axes), 0, atol=1e-6)
    np.testing.assert_allclose(out.max(axes), 1, atol=1e-6)


@pytest.mark.parametrize("noise", KINDS)
def test_more_control_points_are_rougher(noise):
    def roughness(points):
        draws = draw_noise(make_keys(8), noise, (points, points), (40, 40), 1)
        return np.abs(np.diff(to_arrays(make_noise(draws, noise, (40, 40)))[0], axis=1)).mean()

    assert roughness(12) > 1.7 * roughness(4)


@pytest.mark.parametrize("noise", KINDS)
def test_channels_and_samples_differ(noise):
    draws = draw_noise(make_keys(2), noise, (3, 3), (12, 12), 2)
    out = to_arrays(make_noise(draws, noise, (12, 12)))[0]
    assert np.abs(out[..., 0] - out[..., 1]).max() > 0.1
    assert np.abs(rows(out, 0) - rows(out, 1)).max() > 0.1


def test_number_of_control_points_is_uniform():
    draws = draw_noise(make_keys(200), "value", (2, 5), (4, 4), 1)
    points = to_arrays(draws["control_points"])[0]
    assert set(np.unique(points)) == {2, 3, 4, 5}
    check_mean(points, 3.5)
    check_mean((points - 3.5) ** 2, (16 - 1) / 12)


def test_lattice_of_fractal_noise_holds_its_finest_octave():
    assert lattice_size("perlin", (2, 16)) == 16
    assert lattice_size("fractal", (2, 16), (1, 3)) == 61


@pytest.mark.parametrize("noise", KINDS)
def test_one_control_point_is_a_constant(noise):
    """Along its axis alone, or, as the only one along each axis, everywhere."""
    draws = draw_noise(make_keys(3), noise, (1, 4), (12, 13), 1, (1, 3))
    draws["control_points"] = np.array([[1, 4], [4, 1], [1, 1]], "int32")
    first, second, third = to_arrays(make_noise(draws, noise, (12, 13)))[0][..., 0]
    np.testing.assert_allclose(np.ptp(first, axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.ptp(second, axis=1), 0, atol=1e-3)
    assert np.ptp(first) == np.ptp(second) == 1
    np.testing.assert_array_equal(third, 0)


def test_gradient_noise_is_faded():
    """Near a control point the blend is flat: the field has the slope of one gradient there."""
    draws = draw_noise(make_keys(1), "perlin", (3, 3), (65, 1), 1)
    gradients = np.zeros((1, 3, 3, 1, 2), "float32")
    gradients[0, :, 0, 0, 0] = [1, 1, -1]
    draws |= {"noise": gradients, "control_points": np.array([[3, 1]], "int32")}
    field = to_arrays(make_noise(draws, "perlin", (65, 1)))[0].ravel()
    t = np.linspace(0, 1, 33)
    weight = 6 * t**5 - 15 * t**4 + 10 * t**3
    expected = np.concatenate([t * (1 - weight) + (t - 1) * weight, t[1:] * (1 - weight[1:])])
    expected[33:] -= (t[1:] - 1) * weight[1:]
    expected = (expected - expected.min()) / np.ptp(expected)
    np.testing.assert_allclose(field, expected, atol=1e-5)


def test_number_of_octaves_is_uniform():
    draws = draw_noise(make_keys(200), "fractal", (2, 2), (4, 4), 1, (1, 5))
    octaves = to_arrays(draws["octaves"])[0]
    check_mean(octaves, 3)
    check_mean((octaves - 3) ** 2, (25 - 1) / 12)


def test_octaves_are_added_up_to_their_number_and_to_the_grid():
    def field(shape, octaves):
        draws = draw_noise(make_keys(1), "fractal", (3, 3), shape, 1, (1, 5))
        draws["octaves"] = np.array([octaves], "int32")
        return to_arrays(make_noise(draws, "fractal", shape))[0]

    draws = draw_noise(make_keys(1), "fractal", (3, 3), (40, 40), 1, (1, 5))
    first = perlin_noise(draws["noise_0"], draws["control_points"], (40, 40))
    np.testing.assert_allclose(field((40, 40), 1), to_arrays(first)[0], atol=1e-6)
    rough = [np.abs(np.diff(field((40, 40), n), axis=1)).mean() for n in range(1, 6)]
    assert (np.diff(rough) > 0).all()
    # Of 3, 5, 9, 17 and 33 points, a grid of 16 shows the first three.
    np.testing.assert_array_equal(field((16, 16), 3), field((16, 16), 5))
    assert np.abs(field((16, 16), 2) - field((16, 16), 3)).max() > 0.01
