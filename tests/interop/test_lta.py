import os
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import affine_transform

from synthtf.data.grid import Grid
from synthtf.data.transforms import Affine
from synthtf.data.volumes import Volume
from synthtf.inference.applying import apply_transform
from synthtf.interop.lta import read_lta, write_lta

# As mri_robust_register writes it: the source is 256³ LIA of 1 mm, the destination RAS of 2 mm.
TEXT = """type      = {kind} # {name}
nxforms   = 1
mean      = 0.0000 0.0000 0.0000
sigma     = 1.0000
1 4 4
{matrix}
src volume info
valid = 1  # volume info valid
filename = /data/a = b #1.mgz
volume = 256 256 256
voxelsize = 1.000000000000000e+00 1.000000000000000e+00 1.000000000000000e+00
xras   = -1.000000000000000e+00 0.000000000000000e+00 0.000000000000000e+00
yras   = 0.000000000000000e+00 0.000000000000000e+00 -1.000000000000000e+00
zras   = 0.000000000000000e+00 1.000000000000000e+00 0.000000000000000e+00
cras   = 5.000000000000000e+00 -3.000000000000000e+00 2.000000000000000e+00
dst volume info
valid = 1  # volume info valid
filename = b.mgz
volume = 91 109 91
voxelsize = 2 2 2
xras   = 1 0 0
yras   = 0 1 0
zras   = 0 0 1
cras   = 1 -17 19
subject fsaverage
fscale 0.150000
"""
SHIFT = "1 0 0 10\n0 1 0 0\n0 0 1 0\n0 0 0 1"


def write(path, matrix=SHIFT, kind=1, name="LINEAR_RAS_TO_RAS"):
    path.write_text(TEXT.format(matrix=matrix, kind=kind, name=name))
    return path


def test_the_matrix_maps_the_source_to_the_destination(tmp_path):
    transform = read_lta(write(tmp_path / "a.lta"))
    # The source, the moving image, goes 10 mm to the right: the result looks up 10 mm to the left.
    np.testing.assert_allclose(transform([0, 0, 0]), [-10, 0, 0])
    assert transform.moving.shape == (256, 256, 256)
    assert transform.fixed.shape == (91, 109, 91)
    # The centre is voxel 128, not 127.5.
    np.testing.assert_allclose(transform.moving.to_voxels(np.array([5, -3, 2])), [128] * 3)
    np.testing.assert_allclose(
        transform.moving.affine[:3], [[-1, 0, 0, 133], [0, 0, 1, -131], [0, -1, 0, 130]]
    )
    np.testing.assert_allclose(transform.fixed.affine[:3, 3], [-90, -126, -72])


def test_voxels_to_voxels(tmp_path):
    in_mm = read_lta(write(tmp_path / "a.lta"))
    matrix = np.linalg.inv(in_mm.fixed.affine) @ in_mm.inverse().matrix @ in_mm.moving.affine
    words = "\n".join(" ".join(f"{n:.15e}" for n in row) for row in matrix)
    in_voxels = read_lta(write(tmp_path / "b.lta", words, 0, "LINEAR_VOX_TO_VOX"))
    np.testing.assert_allclose(in_voxels.matrix, in_mm.matrix, atol=1e-12)


def test_round_trip(pair, affine):
    path = pair.folder / "new" / "a.lta"
    write_lta(path, affine, fixed=pair.fixed, moving=pair.moving)
    again = read_lta(path)
    np.testing.assert_allclose(again.matrix, affine.matrix, atol=1e-12)
    for found, image in ((again.fixed, pair.fixed), (again.moving, pair.moving)):
        assert found.shape == image.shape
        np.testing.assert_allclose(found.affine, image.affine, atol=1e-12)
    assert f"filename = {pair.moving.path}\n" in path.read_text().split("dst volume")[0]


def test_nitransforms_applies_what_is_written(nitransforms, pair, affine):
    path = pair.folder / "a.lta"
    write_lta(path, affine, fixed=pair.fixed, moving=pair.moving)
    found = apply_transform(pair.moving, read_lta(path))
    transform = nitransforms.linear.load(path, fmt="fs", reference=str(pair.fixed.path))
    moving = nib.load(pair.moving.path)
    expected = nitransforms.resampling.apply(transform, moving, order=1).get_fdata()
    inside = expected > 0
    assert inside.mean() > 0.3
    np.testing.assert_allclose(found.data[inside], expected[inside], atol=0.01)


def test_what_nitransforms_writes(nitransforms, pair, affine):
    path = pair.folder / "a.lta"
    transform = nitransforms.linear.Affine(affine.matrix, reference=str(pair.fixed.path))
    transform.to_filename(path, fmt="fs", moving=str(pair.moving.path))
    np.testing.assert_allclose(read_lta(path).matrix, affine.matrix, atol=1e-6)


def test_scipy_applies_the_numbers_in_the_file(pair, affine):
    path = pair.folder / "a.lta"
    write_lta(path, affine, fixed=pair.fixed, moving=pair.moving)
    rows = path.read_text().splitlines()[6:10]
    source_to_destination = np.array([row.split() for row in rows], float)
    voxels = np.linalg.inv(source_to_destination @ pair.moving.affine) @ pair.fixed.affine
    expected = affine_transform(
        pair.moving.data, voxels, output_shape=pair.fixed.shape, order=1, cval=-1
    )
    found = apply_transform(pair.moving, read_lta(path), like=pair.fixed, fill=-1).data
    inside = expected >= 0
    assert inside.mean() > 0.3
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-3)


def test_images_of_unknown_geometry(tmp_path):
    path = write(tmp_path / "a.lta")
    path.write_text(path.read_text().replace("valid = 1", "valid = 0"))
    assert read_lta(path).fixed is None
    path.write_text(path.read_text().replace("type      = 1", "type      = 0"))
    with pytest.raises(ValueError, match="needs the geometry of both images"):
        read_lta(path)


def test_grids_instead_of_volumes(tmp_path):
    grid = Grid((4, 5, 6), np.diag([2.0, 1, 1, 1]))
    write_lta(tmp_path / "a.lta", Affine(np.eye(4)), fixed=grid, moving=grid)
    assert "filename = unknown" in (tmp_path / "a.lta").read_text()
    assert read_lta(tmp_path / "a.lta").moving.shape == (4, 5, 6)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("type      = 1", "type      = 14", "unknown transform type 14.*LINEAR_RAS_TO_RAS"),
        ("type      = 1", "type      = 1.5", "type must be a whole number"),
        ("type ", "kind ", "an LTA must have"),
        ("nxforms   = 1", "nxforms   = 2", "must hold one transform"),
        ("1 4 4", "1 3 3", "a line '1 4 4'"),
        ("0 0 0 1", "0 0 0", "its matrix must be 16 numbers. Received"),
        ("1 0 0 10", "1 0 0 nan", "finite"),
        ("1 0 0 10", "1 0 0 x", "could not convert"),
        ("1 0 0 10", "0 0 0 10", "invertible"),
        ("0 0 0 1", "0 0 1 1", "last row"),
        ("src volume info", "", "src volume info"),
        ("volume = 91 109 91", "volume = 91 109", "volume must be 3 numbers"),
        ("volume = 91 109 91", "volume = 91 -1 91", "three positive whole numbers"),
        ("volume = 91 109 91", "volume = 91 10.5 91", "three positive whole numbers"),
        ("voxelsize = 2 2 2", "voxelsize = 2 0 2", "invertible"),
        ("cras   = 1", "centre = 1", "a line 'cras = '"),
    ],
)
def test_malformed_files_are_refused(tmp_path, old, new, message):
    path = write(tmp_path / "a.lta")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=re.escape(message) if "'" in message else message) as e:
        read_lta(path)
    assert str(e.value).startswith(f"{path}: ")


def test_truncated_files_are_refused(tmp_path):
    path = write(tmp_path / "a.lta")
    text = path.read_text()
    for length in range(1, text.index("cras   = 1") + 8, 7):
        path.write_text(text[:length])
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read_lta(path)


@pytest.mark.parametrize("name", [b"M\xfcller.nii", b"two\nlines.nii", b"a\x0bb.nii"])
def test_any_name_of_an_image_can_be_written_and_read(tmp_path, name):
    image = Volume(np.zeros((4, 4, 4), "f4"), np.eye(4), None, Path(os.fsdecode(name)))
    path = tmp_path / "t.lta"
    write_lta(path, Affine(np.eye(4)), fixed=image, moving=image)
    np.testing.assert_array_equal(read_lta(path).matrix, np.eye(4))
    assert (b"filename = " + name in path.read_bytes()) == (name == b"M\xfcller.nii")
