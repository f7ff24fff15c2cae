"""Writing of volumes: geometry kept, types, whole files (rows 16, 18, 20)."""

import dataclasses
import errno
import os

import nibabel as nib
import numpy as np
import pytest

from synthtf.data.volume_writer import smallest_integers, write_volume
from synthtf.data.volumes import Volume, read_volume

IMAGE = np.random.default_rng(0).normal(size=(6, 5, 4)).astype("float32")


def rotation(degrees):
    a = np.deg2rad(degrees)
    return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])


def affine_of(matrix, origin=(-11.1, 22.2, 3.3)):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix, origin
    return affine.astype("float32").astype("float64")  # what a header can hold


AFFINES = {
    "left-handed": affine_of(np.diag([-1.0, 1, 1])),
    "right-handed": affine_of(np.diag([1.0, 2, 3])),
    "oblique": affine_of(rotation(23) @ np.diag([0.9, 0.9, 3.3])),
    "sheared": affine_of(rotation(10) @ [[1, 0.2, 0], [0, 1, 0.1], [0, 0, 1]]),
    "permuted": affine_of([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]]),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("form", ["sform", "qform", "both"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mgz", ".mgh"])
def test_geometry_round_trip_is_bit_exact(tmp_path, affine, form, ending):
    source, target = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    if ending.startswith(".m"):
        nib.save(nib.MGHImage(IMAGE, affine), source)
    else:
        image = nib.Nifti1Image(IMAGE, None)
        image.header.set_sform(affine, code=0 if form == "qform" else 3)
        image.header.set_qform(affine, code=0 if form == "sform" else 1)
        image.header.set_xyzt_units("mm", "sec")
        image.to_filename(source)
    volume = read_volume(source)
    write_volume(target, volume.data, like=volume)
    again = read_volume(target)
    assert again.affine.tobytes() == volume.affine.tobytes()
    np.testing.assert_array_equal(again.data, IMAGE)
    if ending.startswith(".n"):
        for field in ("qform_code", "sform_code", "xyzt_units", "quatern_c", "srow_x", "pixdim"):
            assert again.header[field].tobytes() == volume.header[field].tobytes(), field


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize(("source", "target"), [("a.nii", "b.mgz"), ("a.mgz", "b.nii.gz")])
def test_formats_convert_without_moving_voxels(tmp_path, affine, source, target):
    if "sheared" in [k for k, v in AFFINES.items() if v is affine] and "mgz" in source + target:
        affine = AFFINES["oblique"]  # an MGH header holds no shear
    write_volume(tmp_path / source, IMAGE, affine=affine)
    volume = read_volume(tmp_path / source)
    write_volume(tmp_path / target, volume.data, like=volume)
    again = read_volume(tmp_path / target)
    np.testing.assert_allclose(again.affine, affine, atol=1e-5)
    np.testing.assert_array_equal(again.data, IMAGE)


def test_new_affine_replaces_both_forms(tmp_path):
    image = nib.Nifti1Image(IMAGE, np.eye(4))
    image.header.set_qform(np.eye(4), code=1)
    image.to_filename(tmp_path / "in.nii")
    volume = read_volume(tmp_path / "in.nii")
    affine = AFFINES["sheared"]
    write_volume(tmp_path / "out.nii", IMAGE[:3], like=volume, affine=affine)
    again = read_volume(tmp_path / "out.nii")  # would warn if the forms differed
    np.testing.assert_array_equal(again.affine, affine)
    np.testing.assert_allclose(again.header["pixdim"][1:4], again.spacing, rtol=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 255, "uint8"), (0, 256, "int16"), (-1, 1, "int16"), (0, 40000, "int32")],
)
def test_smallest_integer_type(tmp_path, low, high, dtype):
    data = np.zeros((3, 3, 3), "int64")
    data[0, 0, :2] = low, high
    write_volume(tmp_path / "l.nii.gz", data, affine=np.eye(4))
    image = nib.load(tmp_path / "l.nii.gz")
    assert image.get_data_dtype() == dtype
    np.testing.assert_array_equal(np.asarray(image.dataobj), data)
    assert smallest_integers(data).dtype == dtype


def test_other_types_are_stored_as_float32_and_uint8(tmp_path):
    for data, dtype in ((IMAGE.astype("float64"), "float32"), (IMAGE > 0, "uint8")):
        write_volume(tmp_path / "x.nii", data, affine=np.eye(4))
        assert nib.load(tmp_path / "x.nii").get_data_dtype() == dtype


def test_frames_are_written(tmp_path):
    data = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype("float32")
    for name in ("f.nii.gz", "f.mgz"):
        write_volume(tmp_path / name, data, affine=np.eye(4))
        np.testing.assert_array_equal(read_volume(tmp_path / name, frames=True).data, data)


def test_equal_volumes_give_equal_files(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(tmp_path / name, IMAGE, affine=np.eye(4))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "o.nii.gz"
    path.write_bytes(b"old")

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match=r"cannot write .*o\.nii\.gz \(No space left"):
        write_volume(path, IMAGE, affine=np.eye(4))
    assert [p.name for p in tmp_path.iterdir()] == ["o.nii.gz"]
    assert path.read_bytes() == b"old"


def test_a_full_disk_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write .*x\.nii"):
        write_volume(tmp_path / "file" / "x.nii", IMAGE, affine=np.eye(4))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_said(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission denied"):
        write_volume(tmp_path / "x.nii", IMAGE, affine=np.eye(4))


def test_existing_outputs_are_replaced_and_obey_the_umask(tmp_path):
    path = tmp_path / "x.nii"
    path.write_bytes(b"old")
    write_volume(path, IMAGE, affine=np.eye(4))
    np.testing.assert_array_equal(read_volume(path).data, IMAGE)
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("name", "data", "kwargs", "message"),
    [
        ("x.npy", IMAGE, {"affine": np.eye(4)}, "unknown ending"),
        ("x.nii", IMAGE, {}, "give `like` or `affine`"),
        ("x.nii", IMAGE, {"affine": np.eye(3)}, r"`affine` must be finite, of shape \(4, 4\)"),
        ("x.nii", IMAGE, {"affine": np.full((4, 4), np.nan)}, "`affine` must be finite"),
        ("x.nii", IMAGE[0, 0], {"affine": np.eye(4)}, r"two to four axes. Received: float32"),
        ("x.nii", IMAGE + 1j, {"affine": np.eye(4)}, "`data` must be a real array"),
        ("x.nii", np.array([[2**40]]), {"affine": np.eye(4)}, "`data` must fit int32"),
        ("x.nii", IMAGE[1:], {"like": Volume(IMAGE, np.eye(4))}, r"not on the grid \(6, 5, 4\)"),
    ],
)
def test_write_refuses(tmp_path, name, data, kwargs, message):
    with pytest.raises(ValueError, match=message):
        write_volume(tmp_path / name, data, **kwargs)
    assert not list(tmp_path.iterdir())


def test_volume_that_was_moved_since_its_header_was_read(tmp_path):
    """The affine of a volume counts, not that of its header."""
    for ending in (".nii.gz", ".mgz"):
        write_volume(tmp_path / f"x{ending}", IMAGE, affine=AFFINES["oblique"])
        volume = read_volume(tmp_path / f"x{ending}")
        moved = dataclasses.replace(volume, affine=2 * volume.affine)
        write_volume(tmp_path / f"y{ending}", moved.data, like=moved)
        found = nib.load(tmp_path / f"y{ending}")
        np.testing.assert_allclose(found.affine[:3], moved.affine[:3], atol=1e-4)
        lengths = np.linalg.norm(moved.affine[:3, :3], axis=0)
        np.testing.assert_allclose(found.header.get_zooms()[:3], lengths, rtol=1e-5)


def stored_type(path):
    return nib.load(path).get_data_dtype().newbyteorder("=")


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64", "uint16"])
@pytest.mark.parametrize("ending", [".nii", ".mgz"])
def test_type_of_the_file(tmp_path, dtype, ending):
    """Whole numbers are stored as they are; others are scaled, or floats where that cannot be."""
    path = tmp_path / f"x{ending}"
    known = ending == ".nii" or dtype in ("uint8", "int16")
    whole = np.arange(IMAGE.size).reshape(IMAGE.shape) % 200
    write_volume(path, whole, affine=AFFINES["oblique"], dtype=dtype)
    assert stored_type(path) == (dtype if known else "uint8")
    np.testing.assert_array_equal(nib.load(path).get_fdata(), whole)
    image = np.linspace(-3, 130, IMAGE.size).reshape(IMAGE.shape)
    write_volume(path, image, affine=AFFINES["oblique"], dtype=dtype)
    assert stored_type(path) == (dtype if ending == ".nii" else "float32")
    np.testing.assert_allclose(nib.load(path).get_fdata(), image, atol=0.27)
