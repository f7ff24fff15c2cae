import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import affine_transform

from synthtf.data.grid import Grid
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
