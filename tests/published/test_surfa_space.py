"""Rules of space that surfa has; other rules would give other voxels at the borders."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from synthtf.published.surfa_space import Image, sample_linear, sample_nearest


def oblique(spacing, degrees=(10, -20, 5)):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * spacing
    affine[:3, 3] = 3, -20, 7
    return affine


def world(affine, voxel):
    return affine[:3, :3] @ voxel + affine[:3, 3]


@pytest.mark.parametrize("axes", ["LIA", "RAS", "SPR", "ALS"])
def test_reorienting_moves_no_voxel(axes):
    rng = np.random.default_rng(0)
    image = Image(rng.uniform(size=(4, 5, 6)), oblique((1.4, 1.1, 1.8)))
    found = image.reoriented(axes)
    np.testing.assert_allclose(
        world(found.affine, np.unravel_index(found.data.argmax(), found.shape)),
        world(image.affine, np.unravel_index(image.data.argmax(), image.shape)),
    )
    columns = found.affine[:3, :3] / found.voxel_size
    pairs = ["LR", "PA", "IS"]
    for column, code in zip(columns.T, axes, strict=True):
        axis = next(i for i, pair in enumerate(pairs) if code in pair)
        assert np.abs(column).argmax() == axis
        assert (column[axis] > 0) == (code == pairs[axis][1])
    assert found.reoriented(axes) is found


def test_45_degrees_between_axes_still_give_three_directions():
    image = Image(np.zeros((3, 4, 5)), oblique((1, 1, 1), (0, 0, 45)))
    assert sorted(image.reoriented("LIA").shape) == [3, 4, 5]


def test_resizing_keeps_the_centre_and_rounds_the_size_up():
    image = Image(np.ones((10, 7, 5)), oblique((1.25, 1, 2)), (1.25, 1, 2))
    found = image.resized(1.0)
    assert found.shape == (13, 7, 10)
    np.testing.assert_allclose(
        world(found.affine, np.array(found.shape) / 2), world(image.affine, (5, 3.5, 2.5))
    )
    assert image.resized(1.0).resized(1.0) is not image
    assert found.resized(1 + 9e-6) is found


def test_shear_is_lost():
    affine = np.diag([2.0, 2, 2, 1])
    affine[0, 1] = 0.5
    found = Image(np.ones((4, 4, 4)), affine).resized(1.0)
    np.testing.assert_allclose(found.affine[:3, :3], np.eye(3), atol=1e-12)


def test_nearest_voxel():
    line = np.arange(1.0, 5)[:, None, None]
    matrix = np.eye(4)
    for shift, expected in [
        (-0.1, [0, 2, 3, 4]),  # already outside
        (0.49, [1, 2, 3, 4]),
        (0.5, [2, 3, 4, 4]),  # 3.5 is rounded to 4, which becomes 3
        (1.0, [2, 3, 4, 0]),
    ]:
        matrix[0, 3] = shift
        found = sample_nearest(line, matrix, (4, 1, 1))
        np.testing.assert_array_equal(found.ravel(), expected)


def test_linear_interpolation():
    line = np.arange(1.0, 5)[:, None, None]
    matrix = np.eye(4)
    for shift, expected in [
        (-0.25, [9, 1.75, 2.75, 3.75]),
        (0.25, [1.25, 2.25, 3.25, 4]),  # the last voxel goes on for a voxel
        (1.0, [2, 3, 4, 9]),
    ]:
        matrix[0, 3] = shift
        found = sample_linear(line, matrix, (4, 1, 1), fill=9)
        np.testing.assert_allclose(found.ravel(), expected)


def test_crop_and_fit():
    data = np.zeros((6, 7, 8))
    data[2:5, 3, 1:7] = 1
    data[2, 3, 0] = -1  # not above 0
    image = Image(data, oblique((1, 1, 1)))
    cropped = image.cropped()
    assert cropped.shape == (3, 1, 6)
    np.testing.assert_allclose(world(cropped.affine, (0, 0, 0)), world(image.affine, (2, 3, 1)))
    fitted = cropped.fitted((6, 4, 3))
    # Of an odd number, the smaller part is added or cropped before, the larger part after.
    np.testing.assert_allclose(world(fitted.affine, (1, 1, 0)), world(image.affine, (2, 3, 2)))
    assert fitted.data[1:4, 1].all()
    assert fitted.data.sum() == 9
    empty = Image(np.zeros((3, 3, 3)), np.eye(4))
    assert empty.cropped() is empty


def test_grids_that_differ_by_whole_voxels_are_copied():
    rng = np.random.default_rng(0)
    image = Image(rng.uniform(size=(5, 6, 7)), oblique((1, 1, 1)))
    there = image.fitted((9, 4, 8))
    back = there.resampled_like(image, fill=100)
    assert back.data.dtype == float  # nothing was interpolated
    seen = back.data != 100
    assert seen.sum() == 5 * 4 * 7
    np.testing.assert_array_equal(back.data[seen], image.data[seen])
    turned = Image(image.data, oblique((1, 1, 1), (10, -20, 6)))
    assert turned.resampled_like(image).data.dtype == "float32"
    assert image.resampled_like(image).data is image.data
    far = Image(image.data, image.affine + np.eye(4, k=3)[:, ::1] * 50)
    assert (far.resampled_like(image, fill=2).data == 2).all()
