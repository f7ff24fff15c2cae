"""Fields of SPM, NiftyReg, FSL and ITK: positions or displacements, understood or named."""

import warnings

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from synthtf.data.grid import Grid
from synthtf.data.transforms import Affine, compose
from synthtf.data.volumes import Volume
from synthtf.inference.applying import apply_transform
from synthtf.interop.displacement_field import read_displacement_field
from synthtf.interop.transform_files import write_transform

LPS = np.array([-1, -1, 1])


def points_of(grid):
    return np.concatenate([points for _, points in grid.slabs()])


def save(path, vectors, affine, intent=1007, name="", p1=0.0, remark="", axes=5):
    vectors = np.asarray(vectors, "f4")
    image = nib.Nifti1Image(vectors[:, :, :, None] if axes == 5 else vectors, affine)
    image.header.set_intent(intent, (), name, allow_unknown=True)
    image.header["intent_p1"], image.header["descrip"] = p1, remark
    image.to_filename(path)
    return path


POSITIONS = {
    "SPM": {"name": "Mapping", "remark": "Deformation field"},
    "SPM, capitals": {"name": "MAPPING"},
    "SPM, four axes": {"name": "Mapping", "axes": 4},
    "SPM, remark alone": {"remark": "Deformation"},
    "NiftyReg": {"name": "NREG_TRANS", "p1": 0},
    "points": {"intent": 1008},
    "points, four axes": {"intent": 1008, "axes": 4},
}
DISPLACEMENTS = {
    "ITK": ({}, LPS),
    "ITK, a remark of SPM": ({"remark": "Deformation field"}, LPS),
    "standard": ({"intent": 1006}, 1),
    "NiftyReg": ({"name": "NREG_TRANS", "p1": 1}, 1),
    "synthtf": ({"intent": 1006, "axes": 4}, 1),
    "unmarked": ({"intent": 0, "axes": 4}, 1),
}


@pytest.mark.parametrize("kind", POSITIONS)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_positions_are_understood(pair, warp, kind, ending):
    grid = Grid.of(pair.fixed)
    mm = points_of(grid)
    path = save(pair.folder / f"y_T1{ending}", warp(mm), grid.affine, **POSITIONS[kind])
    found = read_displacement_field(path)
    assert np.abs(warp(mm) - mm).max() > 3
    np.testing.assert_allclose(found(mm), warp(mm), atol=1e-4)
    assert found.fixed.shape == grid.shape


@pytest.mark.parametrize("kind", DISPLACEMENTS)
def test_displacements_are_understood(pair, warp, kind):
    fields, sign = DISPLACEMENTS[kind]
    grid = Grid.of(pair.fixed)
    mm = points_of(grid)
    path = save(pair.folder / "w.nii", (warp(mm) - mm) * sign, grid.affine, **fields)
    np.testing.assert_allclose(read_displacement_field(path)(mm), warp(mm), atol=1e-4)


def test_scipy_and_nitransforms_apply_the_positions(nitransforms, pair, warp):
    grid = Grid.of(pair.fixed)
    path = save(pair.folder / "y_T1.nii", warp(points_of(grid)), grid.affine, **POSITIONS["SPM"])
    stored = nib.load(path).get_fdata()[:, :, :, 0]
    moved = apply_transform(pair.moving, read_displacement_field(path), like=pair.fixed, fill=-1)
    voxels = nib.affines.apply_affine(np.linalg.inv(pair.moving.affine), stored)
    expected = map_coordinates(pair.moving.data, np.moveaxis(voxels, -1, 0), order=1, cval=-1)
    inside = (expected >= 0) & (moved.data >= 0)
    assert inside.mean() > 0.3
    np.testing.assert_allclose(moved.data[inside], expected[inside], atol=0.01)
    field = nib.Nifti1Image(stored.astype("f4"), grid.affine)
    dense = nitransforms.nonlinear.DenseFieldTransform(field, is_deltas=False)
    mm = points_of(grid)[3:-3, 3:-3, 3:-3].reshape(-1, 3)
    np.testing.assert_allclose(read_displacement_field(path)(mm), dense.map(mm), atol=1e-3)


def test_an_identity_of_spm_moves_nothing(pair):
    grid = Grid.of(pair.moving)
    path = save(pair.folder / "iy_T1.nii", points_of(grid), grid.affine, **POSITIONS["SPM"])
    moved = apply_transform(pair.moving, read_displacement_field(path))
    np.testing.assert_allclose(moved.data, pair.moving.data, atol=1e-3)


def test_voxels_without_a_position_move_like_their_neighbours(pair, warp):
    grid = Grid.of(pair.fixed)
    mm = points_of(grid)
    vectors = warp(mm)
    vectors[:3] = np.nan
    path = save(pair.folder / "y_T1.nii", vectors, grid.affine, **POSITIONS["SPM"])
    number = 3 * grid.shape[1] * grid.shape[2]
    with pytest.warns(UserWarning, match=f"{number:,} voxels have no position"):
        found = read_displacement_field(path)
    np.testing.assert_allclose(found(mm[3:]), warp(mm[3:]), atol=1e-4)
    assert np.abs(found(mm[:3]) - warp(mm[:3])).max() < 5
    path = save(path, vectors * np.nan, grid.affine, **POSITIONS["SPM"])
    with pytest.raises(ValueError, match="no voxel of it has a position"):
        read_displacement_field(path)


REFUSED = [
    ({"intent": 2006, "axes": 4}, "a warp of FSL in FSL's own coordinates"),
    ({"intent": 2007, "axes": 4}, "spline coefficients of FSL"),
    ({"intent": 2008, "axes": 4}, "cosine coefficients of FSL"),
    ({"intent": 2009, "axes": 4}, "spline coefficients of FSL"),
    ({"intent": 2016, "axes": 4}, "topup"),
    ({"intent": 2018, "axes": 4}, "topup"),
    ({"name": "NREG_TRANS", "p1": 2}, "a grid of control points of NiftyReg"),
    ({"name": "NREG_TRANS", "p1": 3}, "a velocity field of NiftyReg"),
    ({"name": "NREG_TRANS", "p1": 4}, "a velocity field of NiftyReg"),
    ({"name": "NREG_TRANS", "p1": 5}, "a grid of velocities of NiftyReg"),
    ({"name": "NREG_TRANS", "p1": 6}, "a grid of control points of NiftyReg"),
    ({"name": "NREG_TRANS", "p1": 7}, r"unknown kind \(NREG_TRANS, 7\)"),
    ({"name": "NREG_CPP_FILE"}, r"unknown kind \(NREG_CPP_FILE, 0\)"),
    ({"remark": "Flow Field"}, "velocities"),
    ({"name": "Velocity"}, "velocities"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_other_fields_are_refused_by_name(tmp_path, fields, message):
    path = save(tmp_path / "a.nii", np.zeros((5, 6, 7, 3)), np.diag([2, 2, 2, 1]), **fields)
    with pytest.raises(ValueError, match=message) as caught:
        read_displacement_field(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [{}, {"intent": 1006}, {"intent": 1006, "axes": 4}, {"intent": 0, "axes": 4}, {"axes": 4}],
)
@pytest.mark.parametrize("space", ["RAS", "LPS", "voxels", "padded"])
@pytest.mark.parametrize("shape", [(9, 10, 11), (9, 10, 1)])
def test_positions_that_no_header_marks_are_refused(tmp_path, fields, space, shape):
    turn = Rotation.from_euler("zyx", (12, -7, 5), degrees=True).as_matrix()
    grid = Grid(shape, np.block([[turn * 1.2, np.full((3, 1), -8)], [0, 0, 0, 1]]))
    vectors = points_of(grid)
    if space == "LPS":
        vectors = vectors * LPS
    elif space == "voxels":
        vectors = np.moveaxis(np.indices(shape), 0, -1)
    elif space == "padded":
        vectors[:3] = 0
    path = save(tmp_path / "a.nii", vectors, grid.affine, **fields)
    with pytest.raises(ValueError, match="grow with the coordinates as positions do"):
        read_displacement_field(path)


@pytest.mark.parametrize("kind", ["SPM", "NiftyReg", "points"])
def test_displacements_marked_as_positions_are_refused(pair, warp, kind):
    grid = Grid.of(pair.fixed)
    mm = points_of(grid)
    path = save(pair.folder / "a.nii", warp(mm) - mm, grid.affine, **POSITIONS[kind])
    with pytest.raises(ValueError, match="do not grow with the coordinates"):
        read_displacement_field(path)


@pytest.mark.parametrize("angle", [0, 30, 90, 150])
@pytest.mark.parametrize("scale", [0.5, 0.8, 1.25, 1.6])
@pytest.mark.parametrize("name", ["a.nii", "Warp.nii"])
def test_strong_transforms_are_no_positions(tmp_path, angle, scale, name):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("y", angle, degrees=True).as_matrix() * scale
    matrix[:3, 3] = 40, -30, 5
    grid = Grid((8, 9, 7), np.diag([-2.0, 3, 1, 1]))
    write_transform(tmp_path / name, Affine(matrix), fixed=grid, moving=grid)
    mm = points_of(grid)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_displacement_field(tmp_path / name)
    np.testing.assert_allclose(found(mm), Affine(matrix)(mm), atol=1e-4)


def test_positions_join_a_chain(pair, affine, warp):
    grid = Grid.of(pair.fixed)
    mm = points_of(grid)
    path = save(pair.folder / "y.nii", warp(mm), grid.affine, **POSITIONS["SPM"])
    chain = compose(affine, read_displacement_field(path))
    np.testing.assert_allclose(chain(mm), affine(warp(mm)), atol=1e-3)
    assert isinstance(apply_transform(pair.moving, chain, like=pair.fixed), Volume)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_a_scan_of_three_frames_is_no_field(pair, tmp_path, dtype):
    rng = np.random.default_rng(0)
    frames = np.stack([pair.moving.data * 10 + rng.normal(0, 5, pair.moving.shape)] * 3, -1)
    image = nib.Nifti1Image(np.clip(frames, 0, 255 if dtype == "uint8" else 2000), np.eye(4))
    image = nib.Nifti1Image(image.get_fdata().astype(dtype), pair.moving.affine)
    image.to_filename(tmp_path / "bold.nii")
    with pytest.raises(ValueError, match="those of a scan of three frames"):
        read_displacement_field(tmp_path / "bold.nii")
