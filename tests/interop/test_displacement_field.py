import gzip

import nibabel as nib
import numpy as np
import pytest

from synthtf.interop.displacement_field import read_displacement_field
from synthtf.interop.transform_files import read_transform, write_transform

AFFINE = np.array([[-2.0, 0, 0, 9], [0, 0, 1, -8], [0, -3, 0, 7], [0, 0, 0, 1]])


def save(path, shape=(4, 5, 6, 1, 3), intent=1007, dtype="f4", value=(1, 2, 3)):
    data = np.zeros(shape, dtype)
    data[...] = value[: shape[-1]] if len(shape) > 3 else 0
    image = nib.Nifti1Image(data, AFFINE)
    image.header["intent_code"] = intent
    image.to_filename(path)
    return path


@pytest.mark.parametrize(
    "shape, intent, expected",
    [
        ((4, 5, 6, 1, 3), 1007, [-1, -2, 3]),
        ((4, 5, 6, 1, 3), 1006, [1, 2, 3]),
        ((4, 5, 6, 3), 0, [1, 2, 3]),
        ((4, 5, 6, 3), 1006, [1, 2, 3]),
        ((4, 5, 1, 3), 1007, [1, 2, 3]),
        ((4, 5, 1, 1, 3), 1007, [-1, -2, 3]),
    ],
)
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "i2"])
def test_axes_and_intent_tell_the_space(tmp_path, shape, intent, expected, dtype):
    found = read_displacement_field(save(tmp_path / "a.nii.gz", shape, intent, dtype))
    np.testing.assert_allclose(found([1, 2, 3]), np.add(expected, [1, 2, 3]))
    assert found.field.dtype == np.float32 and found.fixed.shape == shape[:3]
    np.testing.assert_allclose(found.affine, AFFINE)


@pytest.mark.parametrize("intent", [1006, 1007])
def test_itk_reads_the_same_space(sitk, tmp_path, intent):
    path = save(tmp_path / "a.nii.gz", intent=intent)
    image = sitk.ReadImage(str(path), sitk.sitkVectorFloat64)
    expected = np.array(image[1, 1, 1]) * (-1, -1, 1)
    np.testing.assert_allclose(read_displacement_field(path).field[1, 1, 1], expected)


def test_scaled_integers(tmp_path):
    path = save(tmp_path / "a.nii", (4, 5, 6, 3), dtype="i2")
    data = bytearray(path.read_bytes())
    data[112:120] = np.array([0.5, 10], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(data)
    np.testing.assert_allclose(read_displacement_field(path).field[0, 0, 0], [10.5, 11, 11.5])


@pytest.mark.parametrize("name, shape", [("a.nii.gz", 4), ("a.nii", 4), ("s1_1Warp.nii.gz", 5)])
def test_round_trip(pair, warp, name, shape):
    path = pair.folder / name
    write_transform(path, warp, fixed=pair.fixed, moving=pair.moving)
    again = read_transform(path)
    assert len(nib.load(path).shape) == shape
    assert again.fixed.shape == pair.fixed.shape
    np.testing.assert_allclose(again.affine, pair.fixed.affine, atol=1e-5)
    _, mm = next(again.fixed.slabs())
    assert np.abs(warp(mm) - mm).max() > 3
    np.testing.assert_allclose(again(mm), warp(mm), atol=1e-4)
    first = path.read_bytes()
    write_transform(path, warp, fixed=pair.fixed, moving=pair.moving)
    assert path.read_bytes() == first


def test_the_ras_field_holds_displacements_in_ras(pair, warp):
    write_transform(pair.folder / "a.nii.gz", warp, fixed=pair.fixed, moving=pair.moving)
    image = nib.load(pair.folder / "a.nii.gz")
    assert image.header.get_intent()[0] == "displacement vector"
    voxel = np.array([3, 4, 5])
    mm = nib.affines.apply_affine(image.affine, voxel)
    np.testing.assert_allclose(image.get_fdata()[3, 4, 5], warp(mm) - mm, atol=1e-4)


def test_nitransforms_reads_the_itk_field(nitransforms, pair, warp):
    path = pair.folder / "Warp.nii.gz"
    write_transform(path, warp, fixed=pair.fixed, moving=pair.moving)
    image = nitransforms.io.itk.ITKDisplacementsField.from_filename(path)
    np.testing.assert_allclose(read_transform(path).field, image.get_fdata(), atol=1e-6)


@pytest.mark.parametrize(
    "shape, intent",
    [
        ((4, 5, 6), 0),
        ((4, 5, 6, 2), 1007),
        ((4, 5, 6, 1, 2), 1007),
        ((4, 5, 6, 3, 1), 1007),
        ((4, 5, 6, 1, 3), 0),
    ],
)
def test_other_volumes_are_an_unknown_type(tmp_path, shape, intent):
    path = save(tmp_path / "a.nii.gz", shape, intent)
    with pytest.raises(
        ValueError, match=r"unknown transform type; .* must have .* Received: axes"
    ) as caught:
        read_displacement_field(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_fields_that_are_not_finite_are_refused(tmp_path, value):
    path = save(tmp_path / "a.nii.gz", value=(0, value, 0))
    with pytest.raises(ValueError, match="finite") as caught:
        read_displacement_field(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_field_without_orientation_is_reported(tmp_path):
    path = save(tmp_path / "a.nii")
    data = bytearray(path.read_bytes())
    data[252:256] = bytes(4)  # qform_code, sform_code
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="sets no orientation"):
        read_displacement_field(path)


def test_truncated_files_are_refused(tmp_path):
    path = save(tmp_path / "a.nii.gz")
    data = path.read_bytes()
    path.write_bytes(data[:-9])
    with pytest.raises(ValueError, match="truncated"):
        read_transform(path)
    path.write_bytes(gzip.compress(gzip.decompress(data)[:400]))
    with pytest.raises(ValueError, match="truncated"):
        read_transform(path)
