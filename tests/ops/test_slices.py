"""Slice numbers and the matrices of slice profiles."""

import numpy as np
import pytest

from synthtf.ops.slices import profile_reach, slice_index, slice_matrix
from synthtf.testing import to_arrays


def floats(*values):
    return np.array(values, "float32")


def test_slices_are_as_thick_as_asked():
    index = to_arrays(slice_index(floats(3, 2.5), floats(0, 0.5), 12))[0]
    np.testing.assert_array_equal(index[0], np.arange(12) // 3)
    np.testing.assert_array_equal(index[1], np.floor(np.arange(12) / 2.5 + 0.5))


@pytest.mark.parametrize("profile", ["box", "gaussian"])
@pytest.mark.parametrize("nearest", [True, False])
def test_rows_sum_to_one_and_stay_within_reach(profile, nearest):
    thickness, distance = floats(1, 3, 6, 30), floats(1.5, 2, 8, 40)
    matrix = slice_matrix(thickness, distance, floats(0, 1.5, 7, 19), 20, profile, nearest)
    matrix = to_arrays(matrix)[0]
    assert matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(-1), 1, rtol=1e-5)
    away = np.abs(np.arange(20)[:, None] - np.arange(20))
    for row in range(4):
        reach = profile_reach(float(thickness[row]), profile) + int(distance[row]) + 1
        assert not matrix[row][away > reach].any()


@pytest.mark.parametrize("profile", ["box", "gaussian"])
def test_slices_as_thin_and_close_as_voxels_are_the_identity(profile):
    matrix = slice_matrix(floats(1, 0.4), floats(1, 0.7), floats(0.3, 0.2), 9, profile, False)
    np.testing.assert_array_equal(to_arrays(matrix)[0], np.stack([np.eye(9)] * 2))


def test_a_box_on_a_voxel_is_its_overlap_with_the_hats_of_its_neighbours():
    """Three voxels thick about voxel 4: whole hats within, 7/8 and 1/8 of those at its faces."""
    matrix = slice_matrix(floats(3), floats(9), floats(4), 9, "box", False)
    expected = np.array([0, 0, 1 / 8, 7 / 8, 1, 7 / 8, 1 / 8, 0, 0]) / 3
    np.testing.assert_allclose(to_arrays(matrix)[0][0], np.tile(expected, (9, 1)), atol=1e-6)
