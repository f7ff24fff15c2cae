import numpy as np
import pytest

from synthtf.data.resampling import apply_matrices, axis_matrix, nearest_index, sample


@pytest.mark.parametrize("ratio", [0.21, 0.5, 1.0, 1.2, 1.7, 3.0, 4.3])
def test_rows_sum_to_one_and_a_ramp_stays_a_ramp(ratio):
    num_in, num_out = 60, int(60 / ratio)
    matrix = axis_matrix(num_in, num_out, ratio)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
    assert matrix.min() >= 0
    expected = (np.arange(num_out) - (num_out - 1) / 2) * ratio + (num_in - 1) / 2
    inner = (expected > ratio + 1) & (expected < num_in - 2 - ratio)
    assert inner.sum() > 5
    np.testing.assert_allclose((matrix @ np.arange(num_in))[inner], expected[inner], atol=1e-4)


def test_ratio_of_one_is_the_identity():
    np.testing.assert_array_equal(axis_matrix(7, 7, 1.0), np.eye(7))


def test_downsampling_removes_what_the_output_cannot_hold():
    checkerboard = np.arange(60) % 2
    smooth = axis_matrix(60, 15, 4.0) @ checkerboard
    np.testing.assert_allclose(smooth[1:-1], 0.5, atol=0.05)


def test_the_output_voxel_has_the_variance_of_its_own_width():
    # The weights of a row have the variance of the box plus that of the interpolation, which is
    # 1/6 on average over the positions between two voxels.
    ratio = 3.0
    row = axis_matrix(61, 21, ratio)[10]
    position = np.arange(61) - 30
    assert np.sum(row * position) == pytest.approx(0, abs=1e-5)
    assert np.sum(row * position**2) == pytest.approx((ratio**2 - 1) / 12 + 1 / 6, abs=0.02)


def test_edges_continue():
    np.testing.assert_allclose(axis_matrix(3, 9, 1.0) @ [1, 5, 9], [1, 1, 1, 1, 5, 9, 9, 9, 9])


def test_matrices_act_on_their_own_axes():
    rng = np.random.default_rng(0)
    data = rng.random((3, 4, 5))
    a, b, c = rng.random((6, 3)), rng.random((2, 4)), rng.random((7, 5))
    expected = np.einsum("ijk,ai,bj,ck->abc", data, a, b, c)
    np.testing.assert_allclose(apply_matrices(data, [a, b, c]), expected, rtol=1e-5)
    expected = np.einsum("ijk,bj->ibk", data, b)
    np.testing.assert_allclose(apply_matrices(data, [None, b, None]), expected, rtol=1e-5)


@pytest.mark.parametrize("arguments", [(0, 3, 1.0), (3, 0, 1.0), (3, 3, 0.0), (3, 3, float("nan"))])
def test_sizes_and_ratio_must_be_positive(arguments):
    with pytest.raises(ValueError, match="positive sizes and a positive ratio"):
        axis_matrix(*arguments)


def test_points_between_voxels_are_interpolated_frame_by_frame():
    ramp = np.stack(np.meshgrid(*map(np.arange, (4, 5, 6)), indexing="ij"), -1).astype("float32")
    voxels = np.random.default_rng(0).uniform(0, 3, (3, 50))
    np.testing.assert_allclose(sample(ramp, voxels), voxels.T, atol=1e-6)
    assert sample(ramp, voxels).dtype == np.float32
    np.testing.assert_array_equal(sample(ramp, voxels, nearest=True), np.round(voxels.T))


def test_beyond_the_ends_the_border_continues():
    data = np.arange(3, dtype="int32").reshape(3, 1, 1, 1)
    voxels = np.array([[-5.0, 9.0], [0, 0], [7, -7]])
    np.testing.assert_array_equal(sample(data, voxels, nearest=True)[:, 0], [0, 2])
    np.testing.assert_array_equal(sample(data.astype(float), voxels)[:, 0], [0, 2])
    np.testing.assert_array_equal(nearest_index(3, 4, 1.0, -1.0), [0, 0, 1, 2])
