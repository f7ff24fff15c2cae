"""Separable linear steps as matrices."""

import numpy as np
import pytest

from synthtf.ops.linear import (
    apply_along_axes,
    blur_matrix,
    control_offset,
    matrix_product,
    resample_matrix,
    upsample_matrix,
)
from synthtf.testing import close, rows, same_bits, to_arrays


def array(tensor):
    return to_arrays(tensor)[0]


def floats(*values):
    return np.array(values, "float32")


def random(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


# Blur


@pytest.mark.parametrize("size", [1, 2, 9, 40])
def test_blur_rows_sum_to_one(size):
    matrix = array(blur_matrix(floats(0, 0.3, 1, 2.5, 50), size))
    assert matrix.shape == (5, size, size) and matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(-1), 1, rtol=1e-5)


def test_blur_of_zero_is_the_identity():
    np.testing.assert_array_equal(array(blur_matrix(floats(0), 7))[0], np.eye(7))


@pytest.mark.parametrize("std", [0.4, 1.0, 2.3])
def test_blur_is_a_gaussian_cut_off_at_four_deviations(std):
    row = array(blur_matrix(floats(std), 41))[0, 20]
    distance = np.abs(np.arange(41) - 20)
    expected = np.exp(-0.5 * (distance / std) ** 2) * (distance <= np.ceil(4 * std))
    np.testing.assert_allclose(row, expected / expected.sum(), atol=1e-6)


# Down- and upsampling


@pytest.mark.parametrize("size", [1, 5, 16])
def test_resampling_by_one_is_the_identity(size):
    np.testing.assert_allclose(array(resample_matrix(floats(1), size))[0], np.eye(size), atol=1e-6)


@pytest.mark.parametrize("size", [7, 16])
def test_resampling_rows_sum_to_one(size):
    matrix = array(resample_matrix(floats(1, 1.3, 2, 3.7, 8), size))
    assert matrix.min() >= -1e-6
    np.testing.assert_allclose(matrix.sum(-1), 1, atol=1e-5)


def test_resampling_keeps_the_coarse_samples():
    matrix = array(resample_matrix(floats(3), 13))[0]
    np.testing.assert_allclose(matrix[::3], np.eye(13)[::3], atol=1e-6)


# Upsampling from control points


@pytest.mark.parametrize("points", [2, 3, 5])
def test_linear_lattice_becomes_a_line(points):
    """Whatever lies beyond the points in use is not read."""
    lattice = np.full((1, 5, 1, 1), 99, "float32")
    lattice[0, :points, 0, 0] = np.linspace(-1, 3, points)
    matrix = upsample_matrix(np.array([points], "int32"), 17, 5)
    line = array(apply_along_axes(lattice, [matrix, None]))
    np.testing.assert_allclose(line.ravel(), np.linspace(-1, 3, 17), atol=1e-5)


def test_offsets_are_counted_in_cells():
    offset = array(control_offset(np.array([3], "int32"), 5, 4))[0]
    np.testing.assert_allclose(offset[:, 0], [0, 0.5, 1, 1.5, 2])
    np.testing.assert_allclose(offset[0], [0, -1, -2, -3])


def test_single_voxel_and_single_point():
    assert array(upsample_matrix(np.array([1], "int32"), 4, 1))[0].tolist() == [[1]] * 4
    assert array(upsample_matrix(np.array([2], "int32"), 1, 2))[0].tolist() == [[1, 0]]


# Application


@pytest.mark.parametrize("shape", [(9, 7), (70, 5), (5, 70), (9, 7, 8), (1, 6, 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_matrices_act_on_their_axes(shape, channels):
    x = random(2, *shape, channels)
    matrices = [random(2, n + 2, n, seed=n) for n in shape]
    letters = "xyz"[: len(shape)]
    terms = [f"b{c.upper()}{c}" for c in letters]
    equation = f"b{letters}c,{','.join(terms)}->b{letters.upper()}c"
    expected = np.einsum(equation, x, *matrices, optimize=True)
    np.testing.assert_allclose(array(apply_along_axes(x, matrices)), expected, rtol=1e-4)


def test_one_matrix_for_all_samples_and_none_for_an_axis():
    x, matrix = random(3, 6, 5, 1), random(1, 4, 6)
    out = array(apply_along_axes(x, [matrix, None]))
    np.testing.assert_allclose(out, np.einsum("ij,bjyc->biyc", matrix[0], x), rtol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("size", [65, 100])
def test_banded_is_dense(axis, size):
    shape = [4, 5, 6]
    shape[axis] = size
    x, std = random(2, *shape, 1), floats(1.5, 2.5)
    matrices = [None] * 3
    matrices[axis] = blur_matrix(std, size)
    dense = array(apply_along_axes(x, matrices))
    banded = array(apply_along_axes(x, matrices, [10] * 3))
    np.testing.assert_allclose(banded, dense, atol=1e-6)


@pytest.mark.parametrize(
    "before, size, after",
    [(1, 9, 35), (63, 5, 1), (9, 7, 5), (1, 40, 289), (289, 33, 1), (17, 31, 17), (64, 16, 1)],
)
def test_products_have_the_same_bits_in_any_batch(before, size, after):
    """oneDNN and Eigen choose other kernels, or split samples, depending on the batch."""
    x, matrix = random(4, before, size, after, 1), random(4, size, size)
    whole = [array(apply_along_axes(x, [None, matrix, None]))]
    for row in range(4):
        here = slice(row, row + 1)
        alone = array(apply_along_axes(x[here], [None, matrix[here], None]))
        same_bits([alone], rows(whole, here))


@pytest.mark.parametrize("size", [3, 11, 33, 80])
def test_matrix_product(size):
    a, b = random(3, size, size), random(3, size, size, seed=1)
    product = array(matrix_product(a, b))
    np.testing.assert_allclose(product, a @ b, rtol=1e-4)
    same_bits([array(matrix_product(a[1:2], b[1:2]))], [product[1:2]])


@pytest.mark.parametrize("size", [9, 33, 40])
def test_blur_matrices_have_the_same_bits_in_any_batch(size):
    std = floats(0.7, 1.1, 1.9, 2.3)
    whole = array(blur_matrix(std, size))
    for row in range(4):
        same_bits([array(blur_matrix(std[row : row + 1], size))], [whole[row : row + 1]])


def test_consecutive_steps_multiply_into_one():
    x, size = random(1, 20, 1, 1), 20
    blur, down = blur_matrix(floats(1.2), size), resample_matrix(floats(2.5), size)
    twice = apply_along_axes(apply_along_axes(x, [blur, None]), [down, None])
    once = apply_along_axes(x, [matrix_product(down, blur), None])
    close(to_arrays(once), to_arrays(twice))
