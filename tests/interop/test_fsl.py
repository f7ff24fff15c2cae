import warnings
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import affine_transform

from synthtf.data.grid import Grid
from synthtf.data.volumes import read_volume
from synthtf.inference.applying import apply_transform
from synthtf.interop.fsl import read_fsl, write_fsl
from synthtf.interop.transform_files import read_transform, write_transform

IDENTITY = "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"


def write(path, text=IDENTITY):
    path.write_text(text)
    return path


def test_identity_of_a_flipped_copy(tmp_path):
    # The same voxels in space, stored from right to left: to FSL, they are the same.
    ras = Grid((10, 8, 6), np.array([[2.0, 0, 0, -9], [0, 3, 0, 4], [0, 0, 1, 5], [0, 0, 0, 1]]))
    las = Grid((10, 8, 6), np.array([[-2.0, 0, 0, 9], [0, 3, 0, 4], [0, 0, 1, 5], [0, 0, 0, 1]]))
    path = write(tmp_path / "a.mat")
    for fixed, moving in ((ras, las), (las, ras), (ras, ras), (las, las)):
        found = read_fsl(path, fixed=fixed, moving=moving)
        np.testing.assert_allclose(found.matrix, np.eye(4), atol=1e-12)
        assert (found.fixed, found.moving) == (fixed, moving)


def test_a_shift_along_the_first_axis_of_fsl(tmp_path):
    # FSL's first axis runs to the left, hence +4 brings the moving image 4 mm to the left.
    grid = Grid((10, 8, 6), np.diag([2.0, 3, 1, 1]))
    path = write(tmp_path / "a.mat", IDENTITY.replace("1 0 0 0", "1 0 0 4", 1))
    found = read_fsl(path, fixed=grid, moving=grid)
    np.testing.assert_allclose(found([0, 0, 0]), [4, 0, 0], atol=1e-12)


def test_round_trip(pair, affine):
    path = pair.folder / "a.mat"
    write_transform(path, affine, fixed=pair.fixed, moving=pair.moving)
    assert len(path.read_text().splitlines()) == 4
    again = read_transform(path, fixed=pair.fixed, moving=pair.moving)
    np.testing.assert_allclose(again.matrix, affine.matrix, atol=1e-9)


def test_nitransforms_applies_what_is_written(nitransforms, pair, affine):
    path = pair.folder / "a.mat"
    write_fsl(path, affine, fixed=pair.fixed, moving=pair.moving)
    transform = nitransforms.linear.load(
        path, fmt="fsl", reference=str(pair.fixed.path), moving=str(pair.moving.path)
    )
    expected = nitransforms.resampling.apply(transform, nib.load(pair.moving.path), order=1)
    read = read_fsl(path, fixed=pair.fixed, moving=pair.moving)
    found = apply_transform(pair.moving, read, like=pair.fixed)
    inside = expected.get_fdata() > 0
    assert inside.mean() > 0.3
    np.testing.assert_allclose(found.data[inside], expected.get_fdata()[inside], atol=0.01)


def test_scipy_applies_the_numbers_in_the_file(pair, affine):
    # Written out for these images: the fixed one is RAS (flipped for FSL), the moving one LIA.
    write_fsl(pair.folder / "a.mat", affine, fixed=pair.fixed, moving=pair.moving)
    to_fixed = np.loadtxt(pair.folder / "a.mat")
    assert np.linalg.det(pair.fixed.affine) > 0 > np.linalg.det(pair.moving.affine)
    scale = np.diag([*pair.fixed.spacing, 1])
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = pair.fixed.shape[0] - 1
    moving_scale = np.diag([*pair.moving.spacing, 1])
    voxels = np.linalg.inv(to_fixed @ moving_scale) @ scale @ flip
    expected = affine_transform(
        pair.moving.data, voxels, output_shape=pair.fixed.shape, order=1, cval=-1
    )
    read = read_fsl(pair.folder / "a.mat", fixed=pair.fixed, moving=pair.moving)
    found = apply_transform(pair.moving, read, like=pair.fixed, fill=-1).data
    inside = expected >= 0
    assert inside.mean() > 0.3
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-3)


@pytest.mark.parametrize(
    "text, message",
    [
        ("1 0 0\n0 1 0\n0 0 1\n", "four rows of four"),
        (IDENTITY + IDENTITY, "four rows of four"),
        (IDENTITY.replace("1", "x", 1), "could not convert"),
        (IDENTITY.replace("1", "nan", 1), "finite"),
        (IDENTITY.replace("1", "0", 1), "invertible"),
        ("\ufeff", "four rows of four"),
    ],
)
def test_malformed_files_are_refused(tmp_path, pair, text, message):
    path = write(tmp_path / "a.mat", text)
    with pytest.raises(ValueError, match=message) as caught:
        read_transform(path, fixed=pair.fixed, moving=pair.moving)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("known", ["fixed", "moving"])
def test_both_images_are_needed(tmp_path, pair, known):
    missing = "fixed" if known == "moving" else "moving"
    with pytest.raises(ValueError, match=f"the {missing} image is missing"):
        read_transform(write(tmp_path / "a.mat"), **{known: pair.fixed})


MATRIX = "0.98 -0.1 0.05 3\n0.11 1.02 -0.04 -2\n-0.03 0.06 0.95 5\n0 0 0 1\n"
# Orientation and pixdim of the fixed and the moving image, and what fslpy 3.29.1 makes of the
# matrix: np.linalg.inv(flirt.fromFlirt(matrix, moving, fixed, "world", "world")).
FSLPY = [
    (
        ("RAS", (2, 3, 1), "LAS", (2, 3, 1)),
        [
            [1.007507, -0.101643, 0.048747, 2.670773],
            [0.10714, 0.967161, 0.046362, 0.959225],
            [-0.038583, -0.057874, 1.048164, -5.134397],
        ],
    ),
    (
        ("RAS", (1, 1, 1), "LAS", (2, 3, 1)),
        [
            [0.503754, -0.033881, 0.048747, 6.933508],
            [0.05357, 0.322387, 0.046362, 4.02045],
            [-0.019291, -0.019291, 1.048164, -5.46235],
        ],
    ),
    (
        ("LAS", (2.5, 3, 1), "RAS", (1, 3, 2)),
        [
            [2.518768, -0.203285, 0.097494, -4.192235],
            [0.133925, 0.967161, 0.046362, 0.71816],
            [-0.024114, -0.028937, 0.524082, -0.023793],
        ],
    ),
    (
        ("RAS", (1, 1, 1), "RAS", (1, 1, 1)),
        [
            [1.007507, -0.067762, 0.097494, 8.867015],
            [0.16071, 0.967161, 0.139085, 4.061349],
            [-0.019291, -0.019291, 1.048164, -5.46235],
        ],
    ),
    (
        ("LAS", (4, 3, 1), "LAS", (2, 3, 1)),
        [
            [2.015014, -0.101643, 0.048747, -6.39679],
            [0.214279, 0.967161, 0.046362, -0.005032],
            [-0.077165, -0.057874, 1.048164, -4.787152],
        ],
    ),
]


def image_with(path, orientation, pixdim, shape):
    """An image of 2 x 3 x 1 mm by its affine, whose header has another size."""
    sign = 1 if orientation == "RAS" else -1
    affine = np.array([[2.0 * sign, 0, 0, -9 * sign], [0, 3, 0, 4], [0, 0, 1, 5], [0, 0, 0, 1]])
    image = nib.Nifti1Image(np.zeros(shape, "uint8"), affine)
    image.header.set_qform(None, 0)
    image.header.set_sform(affine, 2)
    data = bytearray(image.to_bytes())
    data[80:92] = np.array(pixdim, "<f4").tobytes()
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_volume(path)


@pytest.mark.parametrize(("images", "expected"), FSLPY)
def test_the_voxel_size_is_that_of_the_header_as_in_fslpy(tmp_path, images, expected):
    path = write(tmp_path / "a.mat", MATRIX)
    fixed = image_with(tmp_path / "fixed.nii", *images[:2], (10, 8, 6))
    moving = image_with(tmp_path / "moving.nii", *images[2:], (12, 9, 7))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = read_fsl(path, fixed=fixed, moving=moving)
        write_fsl(tmp_path / "b.mat", found, fixed=fixed, moving=moving)
    np.testing.assert_allclose(found.matrix[:3], expected, atol=2e-6)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "b.mat"), np.loadtxt(path), atol=1e-6)
    odd = [image.name for image, mm in ((fixed, images[1]), (moving, images[3])) if mm != (2, 3, 1)]
    named = {name for name in odd for note in said if str(note.message).startswith(name)}
    assert named == set(odd) and len(said) == 2 * len(odd)


def test_a_moved_volume_has_its_own_voxel_size(tmp_path):
    path = write(tmp_path / "a.mat", MATRIX)
    image = image_with(tmp_path / "a.nii", "RAS", (1, 1, 1), (10, 8, 6))
    moved = replace(image, affine=image.affine + np.diag([1.0, 1, 1, 0]))
    found = read_fsl(path, fixed=moved, moving=moved)
    expected = read_fsl(path, fixed=Grid.of(moved), moving=Grid.of(moved))
    np.testing.assert_array_equal(found.matrix, expected.matrix)
