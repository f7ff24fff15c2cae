from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from nibabel.processing import resample_from_to
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from synthtf.data.grid import Grid
from synthtf.data.transforms import Affine, Displacement, compose
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.applying import apply_to_points, apply_transform

IDENTITY = Affine(np.eye(4))


def shift(*mm, **grids):
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return Affine(matrix, **grids)


def random_volume(shape=(12, 14, 10), affine=None, seed=0):
    data = np.random.default_rng(seed).uniform(1, 2, shape).astype(np.float32)
    return Volume(data, np.eye(4) if affine is None else affine)


def oblique(shape, spacing=(1.5, 1.0, 2.0), codes=(-1, 1, 1)):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("zx", (15, -10), degrees=True).as_matrix()
    affine[:3, :3] *= np.array(spacing) * codes
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    return affine


def test_a_quarter_turn_is_rot90():
    # The result looks up the moving image at T(x): a turn by 90° shows it turned back.
    affine = np.eye(4)
    affine[:3, 3] = -5, -5, 0
    volume = random_volume((11, 11, 4), affine)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    moved = apply_transform(volume, Affine(turn))
    np.testing.assert_allclose(moved.data, np.rot90(volume.data, -1), atol=1e-5)
    moved = apply_transform(volume, Affine(turn), interpolation="nearest")
    np.testing.assert_array_equal(moved.data, np.rot90(volume.data, -1))


def test_a_shift_in_mm_of_a_left_to_right_image():
    volume = random_volume((12, 6, 5), np.diag([-2.0, 1, 1, 1]))
    # 4 mm to the right is two voxels down the first axis.
    moved = apply_transform(volume, shift(4, 0, 0), fill=-1)
    np.testing.assert_allclose(moved.data[2:], volume.data[:-2], atol=1e-6)
    assert (moved.data[:2] == -1).all()


@pytest.mark.parametrize("codes", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1)])
def test_identity_on_an_oblique_grid_loses_no_border(codes):
    volume = random_volume(affine=oblique((12, 14, 10), codes=codes))
    moved = apply_transform(volume, IDENTITY)
    np.testing.assert_allclose(moved.data, volume.data, atol=1e-5)
    assert moved.data.dtype == np.float32
    np.testing.assert_array_equal(moved.affine, volume.affine)


def test_nibabel_resamples_to_the_same(tmp_path):
    moving = random_volume(affine=oblique((12, 14, 10)))
    fixed = random_volume((9, 8, 11), oblique((9, 8, 11), (2.5, 2.0, 1.5), (1, 1, -1)))
    image = nib.Nifti1Image(moving.data, moving.affine)
    expected = resample_from_to(image, (fixed.shape, fixed.affine), order=1, cval=-1).get_fdata()
    found = apply_transform(moving, IDENTITY, like=fixed, fill=-1).data
    inside = expected > 0
    assert 0.3 < inside.mean() < 1
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-5)
    # Beyond the centres of the border voxels, half a voxel continues them.
    assert set(np.unique(found[~inside])) != {-1.0}


def test_scipy_applies_the_same_affine():
    moving = random_volume(affine=oblique((12, 14, 10)))
    fixed = random_volume((13, 9, 8), np.diag([1.0, 1.5, 2, 1]))
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (10, 20, -5), degrees=True).as_matrix() * 0.9
    matrix[:3, 3] = -5, -6, -7
    voxels = np.linalg.inv(moving.affine) @ matrix @ fixed.affine
    expected = affine_transform(moving.data, voxels, output_shape=fixed.shape, order=1, cval=-1)
    found = apply_transform(moving, Affine(matrix), like=fixed, fill=-1).data
    inside = expected > 0
    assert inside.mean() > 0.2
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-5)


def test_a_chain_is_resampled_once():
    volume = random_volume()
    there_and_back = compose(shift(0.5, 0, 0), Displacement(np.zeros((2, 2, 2, 3)), np.eye(4)))
    chain = compose(there_and_back, shift(-0.5, 0, 0))
    np.testing.assert_allclose(apply_transform(volume, chain).data, volume.data, atol=1e-6)


def test_image_and_points_move_together():
    data = np.zeros((20, 20, 20), np.float32)
    data[7, 9, 12] = 1
    volume = Volume(data, oblique(data.shape, (1, 1, 1)))
    field = np.random.default_rng(0).normal(0, 0.3, (20, 20, 20, 3))
    transform = compose(shift(3, -2, 1), Displacement(field, volume.affine))
    landmark = volume.affine[:3, :3] @ (7, 9, 12) + volume.affine[:3, 3]
    moved = apply_transform(volume, transform)
    weights = moved.data[..., None] / moved.data.sum()
    centre = (np.moveaxis(np.indices(data.shape), 0, -1) * weights).sum((0, 1, 2))
    found = Grid.of(moved).to_voxels(apply_to_points(landmark, transform))
    assert np.abs(found - (7, 9, 12)).max() > 2
    np.testing.assert_allclose(found, centre, atol=0.4)
    back = apply_to_points(transform(landmark), transform)
    np.testing.assert_allclose(back, landmark, atol=0.005)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int64])
def test_labels_keep_their_values_and_type(dtype):
    labels = np.random.default_rng(0).choice([0, 3, 77, 255], (9, 9, 9)).astype(dtype)
    moved = apply_transform(
        Volume(labels, np.eye(4)), shift(0.4, 0.4, 0.4), interpolation="nearest"
    )
    assert moved.data.dtype == dtype
    np.testing.assert_array_equal(moved.data, labels)
    assert apply_transform(Volume(labels, np.eye(4)), IDENTITY).data.dtype == np.float32


def test_large_labels_are_exact():
    labels = np.full((3, 3, 3), 2**31 - 1, np.int32)
    moved = apply_transform(Volume(labels, np.eye(4)), IDENTITY, interpolation="nearest")
    assert (moved.data == 2**31 - 1).all()


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_every_frame_is_moved(interpolation):
    data = np.random.default_rng(0).uniform(1, 2, (6, 7, 8, 3)).astype(np.float32)
    volume = Volume(data, oblique((6, 7, 8)), ndim=3)
    transform = shift(1.3, 0.2, -0.4)
    moved = apply_transform(volume, transform, interpolation=interpolation)
    assert moved.data.shape == data.shape and moved.ndim == 3
    for frame in range(3):
        single = Volume(data[..., frame], volume.affine)
        alone = apply_transform(single, transform, interpolation=interpolation)
        np.testing.assert_array_equal(moved.data[..., frame], alone.data)


def test_slices():
    image = random_volume((9, 8))
    moved = apply_transform(image, shift(2, 0, 0))
    np.testing.assert_allclose(moved.data[:-2], image.data[2:], atol=1e-6)
    assert moved.ndim == 2
    frames = replace(image, data=np.stack([image.data] * 2, -1))
    assert apply_transform(replace(frames, ndim=2), shift(2, 0, 0)).data.shape == (9, 8, 2)
    # A slice out of a volume, and a volume around a slice.
    volume = random_volume((9, 8, 5))
    cut = apply_transform(volume, shift(0, 0, 3), like=image)
    np.testing.assert_allclose(cut.data, volume.data[:, :, 3], atol=1e-6)
    around = apply_transform(image, IDENTITY, like=volume, fill=-1)
    np.testing.assert_allclose(around.data[:, :, 0], image.data, atol=1e-6)
    assert (around.data[:, :, 1:] == -1).all()


def test_the_grid_of_the_result(tmp_path):
    volume = random_volume()
    fixed = Grid((5, 6, 7), np.diag([2.0, 2, 2, 1]))
    moved = apply_transform(volume, shift(1, 0, 0, fixed=fixed))
    assert moved.shape == (5, 6, 7) and moved.header is None
    np.testing.assert_array_equal(moved.affine, fixed.affine)
    flat = apply_transform(volume, shift(1, 0, 0, fixed=Grid((5, 6, 1), np.eye(4))))
    assert flat.shape == (5, 6)
    like = random_volume((4, 4, 4))
    assert apply_transform(volume, shift(1, 0, 0, fixed=fixed), like=like).shape == (4, 4, 4)
    # Through a file, header and all.
    write_volume(tmp_path / "like.nii.gz", like.data, affine=oblique((4, 4, 4)))
    like = read_volume(tmp_path / "like.nii.gz")
    moved = apply_transform(volume, IDENTITY, like=like)
    write_volume(tmp_path / "moved.nii.gz", moved.data, like=moved)
    again = nib.load(tmp_path / "moved.nii.gz")
    np.testing.assert_array_equal(again.affine, like.affine)
    assert again.header["sform_code"] == like.header["sform_code"]


def test_slabs_do_not_show(monkeypatch):
    volume = random_volume()
    transform = shift(1.3, 0.4, 0.2)
    whole = apply_transform(volume, transform)
    monkeypatch.setattr("synthtf.data.grid._SLAB_POINTS", 1)
    np.testing.assert_array_equal(apply_transform(volume, transform).data, whole.data)


def test_an_image_that_is_missed_is_reported():
    with pytest.warns(UserWarning, match="no voxel of the result lies in the image, all are -3"):
        moved = apply_transform(random_volume(), shift(500, 0, 0), fill=-3)
    assert (moved.data == -3).all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"interpolation": "cubic"}, "linear, nearest, received 'cubic'"),
        ({"fill": np.nan}, "finite number to fill"),
        ({"fill": 0.5, "interpolation": "nearest"}, "that is uint8, received 0.5"),
        ({"fill": -1, "interpolation": "nearest"}, "that is uint8, received -1"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        apply_transform(Volume(np.ones((3, 3, 3), np.uint8), np.eye(4)), IDENTITY, **arguments)


def test_a_grid_that_is_too_large_is_refused():
    huge = Grid((2000, 2000, 2000), np.eye(4))
    with pytest.raises(ValueError, match="at most"):
        apply_transform(random_volume(), shift(0, 0, 0, fixed=huge))


def test_points_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"Received: points with shape \(2,\)"):
        apply_to_points(np.zeros(2), IDENTITY)
