"""Tests of reading and aligning scans as SynthSeg and SynthSR do."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter

from synthtf.data.volume_writer import write_volume
from synthtf.published.alignment import (
    Orientation,
    needs_resampling,
    read_scan,
    resample_to_1mm,
)

RNG = np.random.default_rng(3)


def oblique(order, signs, spacing=(1.0, 1.0, 1.0)):
    """Affine whose axes lie along the world axes `order`, but for 0.1 rad."""
    c, s = np.cos(0.1), np.sin(0.1)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    axes = np.zeros((3, 3))
    axes[list(order), range(3)] = signs
    affine = np.eye(4)
    affine[:3, :3] = turn @ axes * spacing
    affine[:3, 3] = 5, -3, 2
    return affine


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1)])
def test_orientation_is_that_of_nibabel_and_is_undone(order, signs):
    affine, data = oblique(order, signs), RNG.normal(size=(2, 3, 4, 5))
    orientation = Orientation.of(affine)
    expected = nib.orientations.apply_orientation(data[1], nib.orientations.io_orientation(affine))
    np.testing.assert_array_equal(orientation.apply(data)[1], expected)
    np.testing.assert_array_equal(orientation.undo(orientation.apply(data)), data)


def test_an_axis_between_two_others_is_taken_once():
    affine = np.eye(4)
    affine[:3, :3] = [[1, 1, 0], [-1, 1, 0], [0, 0.0, 1]]
    assert sorted(Orientation.of(affine).axes) == [0, 1, 2]


def test_resampling_to_1mm():
    """Against SciPy's interpolation, point by point."""
    spacing = np.array([1.25, 0.8, 1.0])
    data, affine = RNG.normal(size=(7, 9, 6)), oblique((1, 0, 2), (1, -1, 1), spacing)
    found, matrix = resample_to_1mm(data, affine)
    assert found.shape == (9, 8, 6)
    blurred = gaussian_filter(data, [0, 0.25 / 0.8, 0.25])
    places = [
        np.clip(-(f - 1) / (2 * f) + np.arange(n) / f, 0, size - 1)
        for f, n, size in zip(spacing, found.shape, data.shape, strict=True)
    ]
    expected = RegularGridInterpolator([np.arange(n) for n in data.shape], blurred)(
        np.stack(np.meshgrid(*places, indexing="ij"), -1)
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(matrix[:3, :3], axis=0), 1)
    # The outer corner of the first voxel stays in place.
    corner = [-0.5, -0.5, -0.5, 1]
    np.testing.assert_allclose(matrix @ corner, affine @ corner)


def test_only_other_voxel_sizes_are_resampled():
    assert not needs_resampling((0.96, 1.04, 1.0))
    assert needs_resampling((1.0, 1.0, 0.94)) and needs_resampling((1.06, 1.0, 1.0))


def test_scans_are_read_in_double_precision(tmp_path):
    data = RNG.normal(size=(4, 5, 6)) + 1e9
    nib.save(nib.Nifti1Image(data, np.diag([2, 1, 1, 1])), tmp_path / "a.nii.gz")
    scan = read_scan(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(scan.volume.data, data)
    assert scan.spacing == (2, 1, 1)


def test_the_header_says_the_voxel_size(tmp_path):
    image = nib.Nifti1Image(np.ones((4, 5, 6)), np.eye(4))
    image.header["pixdim"][1:4] = 1.5, 1, 1
    image.header.set_sform(np.eye(4), 1)
    with (tmp_path / "a.nii").open("wb") as stream:
        image.header["vox_offset"] = 352
        image.header["magic"] = b"n+1"
        stream.write(image.header.binaryblock + b"\0" * 4 + np.ones((4, 5, 6)).tobytes())
    with pytest.warns(UserWarning):
        scan = read_scan(tmp_path / "a.nii")
    assert scan.spacing == (1.5, 1, 1) and scan.volume.spacing == (1, 1, 1)


def test_channels_become_their_mean(tmp_path):
    data = RNG.normal(size=(4, 5, 6, 3)).astype("float32")
    write_volume(tmp_path / "a.nii", data, affine=np.eye(4))
    scan = read_scan(tmp_path / "a.nii")
    np.testing.assert_array_equal(scan.volume.data, data.astype("float64").mean(-1))
    write_volume(tmp_path / "b.nii", np.ones((2, 2, 2, 11)), affine=np.eye(4))
    with pytest.raises(ValueError, match="at most 10 channels"), pytest.warns(UserWarning):
        read_scan(tmp_path / "b.nii")


def test_npz_files(tmp_path):
    data = RNG.normal(size=(4, 5, 6))
    np.savez(tmp_path / "a.npz", vol_data=data[..., None])
    scan = read_scan(tmp_path / "a.npz")
    np.testing.assert_array_equal(scan.volume.data, data)
    np.testing.assert_array_equal(scan.volume.affine, np.eye(4))
    assert scan.spacing == (1, 1, 1)
    np.savez(tmp_path / "b.npz", other=data)
    with pytest.raises(ValueError, match="with an array vol_data"):
        read_scan(tmp_path / "b.npz")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_scan(tmp_path / "c.npz")


def test_images_of_two_axes_are_refused(tmp_path):
    write_volume(tmp_path / "a.nii", RNG.normal(size=(4, 5)), affine=np.eye(4))
    with pytest.raises(ValueError, match="three axes"):
        read_scan(tmp_path / "a.nii")
