"""Matrices against the Fourier transforms of NumPy."""

import numpy as np
import pytest

from synthtf.ops.kspace import filter_lines, line_filter, line_frequency, magnitude, plane_waves
from synthtf.testing import to_arrays


def by_fft(image, weights, axis):
    """Weight the lines of one axis of one volume, in double precision."""
    shape = [1] * image.ndim
    shape[axis] = -1
    weights = np.fft.ifftshift(weights).reshape(shape)
    return np.fft.ifft(np.fft.fft(image.astype("float64"), axis=axis) * weights, axis=axis)


@pytest.mark.parametrize("size", [8, 9, 160])
def test_line_filter_is_that_of_the_fourier_transform(size):
    weights = np.random.default_rng(size).uniform(size=(2, size)).astype("float32")
    real, imaginary = to_arrays(line_filter(weights))
    for row in range(2):
        expected = by_fft(np.eye(size), weights[row], 0)
        np.testing.assert_allclose(real[row], expected.real, atol=3e-7)
        np.testing.assert_allclose(imaginary[row], expected.imag, atol=3e-7)


def test_frequencies_are_those_of_a_shifted_transform():
    for size in (6, 7):
        expected = np.fft.fftshift(np.fft.fftfreq(size, 1 / size))
        np.testing.assert_array_equal(to_arrays(line_frequency(size))[0], expected)


@pytest.mark.parametrize("shape", [(10, 7), (6, 9, 8)])
def test_each_sample_has_its_own_axis(shape):
    rng = np.random.default_rng(1)
    image = rng.uniform(size=(4, *shape, 2)).astype("float32")
    weights = [rng.uniform(size=(4, n)).astype("float32") for n in shape]
    axis = np.array([1, 0, len(shape) - 1, 1], "int32")
    parts = filter_lines(image, weights, axis)
    real, imaginary, absolute = to_arrays([*parts, magnitude(*parts)])
    for row in range(4):
        expected = by_fft(image[row], weights[axis[row]][row], axis[row])
        np.testing.assert_allclose(real[row], expected.real, atol=1e-6)
        np.testing.assert_allclose(imaginary[row], expected.imag, atol=1e-6)
        np.testing.assert_allclose(absolute[row], np.abs(expected), atol=1e-6)


@pytest.mark.parametrize("shape", [(10, 7), (6, 9, 8)])
def test_plane_waves_are_points_of_kspace(shape):
    ndim = len(shape)
    rng = np.random.default_rng(2)
    frequency = rng.integers(-3, 4, (1, 3, ndim)).astype("int32")
    amplitude = rng.uniform(size=(1, 3)).astype("float32")
    phase = np.array([[0.0, 0.25, 0.7]], "float32")
    real, imaginary = to_arrays(plane_waves(frequency, amplitude, phase, shape))
    kspace = np.zeros(shape, complex)
    for f, a, p in zip(frequency[0], amplitude[0], phase[0], strict=True):
        kspace[tuple(f)] += a * np.exp(2j * np.pi * p)
    expected = np.fft.ifftn(kspace) * np.prod(shape)
    np.testing.assert_allclose(real[0], expected.real, atol=1e-2)
    np.testing.assert_allclose(imaginary[0], expected.imag, atol=1e-2)
