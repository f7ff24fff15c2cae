"""The smooth fields that layers share."""

import numpy as np
import pytest

from synthtf.layers.noise_field import (
    KINDS,
    draw_noise,
    lattice_size,
    make_noise,
)
from synthtf.testing import check_mean, make_keys, rows, to_arrays


@pytest.mark.parametrize("shape", [(17, 13), (9, 7, 8)])
@pytest.mark.parametrize("noise", KINDS)
def test_fields_fill_the_unit_interval(noise, shape):
    draws = draw_noise(make_keys(3), noise, (2, 5), shape, 2)
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
    assert lattice_size("fractal", (2, 16)) == 61
