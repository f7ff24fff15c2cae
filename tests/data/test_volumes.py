"""Reading of volumes (rows 7 to 17, 21, 22, 25, 26)."""

import warnings

import nibabel as nib
import numpy as np
import pytest

from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_geometry, read_volume

IMAGE = np.random.default_rng(0).normal(size=(6, 5, 4)).astype("float32")


def save(path, data, affine=None, **fields):
    """Write with nibabel, then set header fields that nibabel would correct."""
    image = nib.Nifti1Image(data, np.eye(4) if affine is None else affine)
    path.write_bytes(image.to_bytes())
    header = nib.Nifti1Header(path.read_bytes()[:348], check=False)
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + path.read_bytes()[348:])
    return path


def quietly(path, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_volume(path, **kwargs)


# Reading


def test_images_are_float32_and_labels_int32_in_order_c(tmp_path):
    image = read_volume(save(tmp_path / "i.nii", IMAGE))
    np.testing.assert_array_equal(image.data, IMAGE)
    assert image.data.dtype == "float32" and image.data.flags.c_contiguous
    labels = read_volume(save(tmp_path / "l.nii", (IMAGE > 0).astype("uint8")), labels=True)
    np.testing.assert_array_equal(labels.data, IMAGE > 0)
    assert labels.data.dtype == "int32" and labels.data.flags.c_contiguous
    assert (labels.ndim, labels.shape, labels.path) == (3, (6, 5, 4), tmp_path / "l.nii")


def test_scaling_of_the_header_is_applied(tmp_path):
    data = np.arange(24, dtype="int16").reshape(2, 3, 4)
    path = save(tmp_path / "s.nii", data, scl_slope=0.5, scl_inter=-1)
    np.testing.assert_allclose(read_volume(path).data, data * 0.5 - 1)
    doubled = save(tmp_path / "d.nii", data, scl_slope=2, scl_inter=0)
    np.testing.assert_array_equal(read_volume(doubled, labels=True).data, 2 * data)
    assert quietly(save(tmp_path / "z.nii", data, scl_slope=0)).data.max() == 23
    with pytest.raises(ValueError, match=r"i\.nii is corrupt"):
        read_volume(save(tmp_path / "i.nii", data, scl_slope=2, scl_inter=np.nan))


def test_4d_is_refused_unless_frames_are_asked_for(tmp_path):
    data = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype("float32")
    path = save(tmp_path / "f.nii", data)
    with pytest.raises(
        ValueError, match=r"f\.nii must be one volume; .* 4 axes \(3 frames of 4 x 5 x 6\)"
    ):
        read_volume(path)
    with pytest.raises(ValueError, match="must be one volume"):
        read_geometry(path)
    volume = read_volume(path, frames=True)
    np.testing.assert_array_equal(volume.data, data)
    assert (volume.ndim, volume.shape, len(volume.spacing)) == (3, (4, 5, 6), 3)
    # A NIfTI vector field has the components on the fifth axis.
    field = read_volume(save(tmp_path / "v.nii", data[:, :, :, None]), frames=True)
    np.testing.assert_array_equal(field.data, data)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1)])
def test_two_axes_or_a_third_of_one_are_a_2d_image(tmp_path, shape):
    affine = np.diag([0.5, 2.0, 3.0, 1])
    volume = read_volume(save(tmp_path / "p.nii", IMAGE[..., 0].reshape(shape), affine))
    np.testing.assert_array_equal(volume.data, IMAGE[..., 0])
    assert (volume.ndim, volume.spacing) == (2, (0.5, 2.0))
    # The result goes back onto the axes of the input.
    write_volume(tmp_path / "out.nii", volume.data, like=volume)
    assert nib.load(tmp_path / "out.nii").shape == shape
    assert read_geometry(tmp_path / "out.nii")[0] == (6, 5)


def test_an_earlier_axis_of_one_is_kept(tmp_path):
    volume = read_volume(save(tmp_path / "slab.nii", IMAGE[:1]))
    assert (volume.ndim, volume.data.shape) == (3, (1, 5, 4))


def test_a_trailing_fourth_axis_is_dropped_with_a_note(tmp_path):
    path = save(tmp_path / "t.nii", IMAGE[..., None])
    with pytest.warns(UserWarning, match=r"t\.nii: the fourth axis, of length one, was dropped"):
        volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, IMAGE)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [([("R", "u1"), ("G", "u1"), ("B", "u1")], "colour"), ("complex64", "complex")],
)
def test_colour_and_complex_are_refused(tmp_path, dtype, kind):
    path = save(tmp_path / "c.nii", np.zeros((3, 3, 3), dtype))
    with pytest.raises(
        ValueError, match=rf"c\.nii: voxels must be real numbers. Received: {kind} voxels"
    ):
        read_volume(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_become_zero_and_are_counted(tmp_path, bad):
    data = IMAGE.copy()
    data[0, :3, 0] = bad
    path = save(tmp_path / "n.nii", data)
    with pytest.warns(UserWarning, match=r"n\.nii: 3 NaN or infinite voxels were set to 0"):
        volume = read_volume(path)
    data[0, :3, 0] = 0
    np.testing.assert_array_equal(volume.data, data)


def test_values_beyond_float32_are_counted_too(tmp_path):
    data = IMAGE.astype("float64")
    data[0, 0, 0] = 1e300
    with pytest.warns(UserWarning, match="1 NaN or infinite"):
        assert np.isfinite(read_volume(save(tmp_path / "o.nii", data)).data).all()


def test_constant_image_warns(tmp_path):
    with pytest.warns(UserWarning, match=r"k\.nii is constant: every voxel is 3"):
        read_volume(save(tmp_path / "k.nii", np.full((4, 4, 4), 3.0, "float32")))


@pytest.mark.parametrize(
    "fields",
    [
        {"srow_x": [0, 0, 0, 0]},
        {"srow_x": [0, 1, 0, 0]},
        {"srow_y": [0, 0, 0, 0], "srow_x": [0] * 4, "srow_z": [0] * 4},
        {"srow_x": [np.nan, 0, 0, 0]},
        {"srow_x": [1e-30, 0, 0, 0]},
        {"sform_code": 0, "qform_code": 1, "quatern_b": 7},
    ],
)
def test_affine_without_a_place_in_space_is_refused(tmp_path, fields):
    with pytest.raises(ValueError, match=r"a\.nii: its (affine is singular|header has no usable)"):
        read_volume(save(tmp_path / "a.nii", IMAGE, **fields))


def test_small_voxels_are_not_taken_for_a_singular_affine(tmp_path):
    volume = quietly(save(tmp_path / "m.nii", IMAGE, np.diag([1e-3, 1e-3, 1e-3, 1])))
    np.testing.assert_allclose(volume.spacing, 1e-3, rtol=1e-6)


def test_qform_and_sform_that_differ(tmp_path):
    path = save(tmp_path / "q.nii", IMAGE, qform_code=1, qoffset_x=5.0)
    with pytest.warns(
        UserWarning, match=r"q\.nii: its qform and sform differ, by up to 5 mm; the sform"
    ):
        volume = read_volume(path)
    np.testing.assert_array_equal(volume.affine, np.eye(4))
    # Rounding is no difference.
    read_volume(save(tmp_path / "r.nii", IMAGE, qform_code=1, qoffset_x=1e-3))
    broken = save(tmp_path / "b.nii", IMAGE, qform_code=1, quatern_b=7.0)
    with pytest.warns(UserWarning, match=r"its qform is not valid; the sform is used"):
        read_volume(broken)


def test_qform_alone_is_used(tmp_path):
    path = save(tmp_path / "q.nii", IMAGE, sform_code=0, qform_code=1, qoffset_x=5.0)
    assert read_volume(path).affine[0, 3] == 5


def test_no_orientation_warns(tmp_path):
    path = save(tmp_path / "u.nii", IMAGE, sform_code=0, qform_code=0)
    with pytest.warns(UserWarning, match=r"u\.nii: its header sets no orientation; left and right"):
        read_volume(path)
    mgh = tmp_path / "u.mgh"
    nib.save(nib.MGHImage(IMAGE, np.eye(4)), mgh)
    raw = bytearray(mgh.read_bytes())
    raw[28:30] = b"\0\0"
    mgh.write_bytes(raw)
    with pytest.warns(UserWarning, match=r"u\.mgh: its header sets no orientation"):
        read_volume(mgh)


@pytest.mark.parametrize("size", [0.2, 10.0])
def test_unusual_voxels_warn_with_an_estimate(tmp_path, size):
    path = save(tmp_path / "v.nii", IMAGE, np.diag([size, 1, 1, 1]))
    with pytest.warns(
        UserWarning, match=rf"unusual voxels of {size:.3g} x 1 x 1 mm; .* MB at 1 mm"
    ):
        read_volume(path)


@pytest.mark.parametrize("name", ["a b/ü ñ.nii.gz", "日本/x y.mgz"])
def test_spaces_and_other_alphabets(tmp_path, name):
    write_volume(tmp_path / name, IMAGE, affine=np.eye(4))
    np.testing.assert_array_equal(read_volume(str(tmp_path / name)).data, IMAGE)


# Labels


def test_labels_that_are_no_whole_numbers(tmp_path):
    data = np.zeros((4, 4, 4), "float32")
    data[0, 0, :2] = 1.5
    with pytest.raises(ValueError, match=r"w\.nii: labels must be whole .* 1\.5 \(2 voxels\)"):
        read_volume(save(tmp_path / "w.nii", data), labels=True)
    data[0, 0, :2] = np.nan
    with pytest.raises(ValueError, match=r"Received: nan \(2 voxels\)"):
        read_volume(save(tmp_path / "n.nii", data), labels=True)
    data[0, 0, :2] = 2035
    assert read_volume(save(tmp_path / "f.nii", data), labels=True).data.max() == 2035


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("int16", -3), ("int64", -(2**40)), ("int64", 2**31), ("uint32", 2**31), ("float64", 2.0**31)],
)
def test_negative_and_too_large_labels(tmp_path, dtype, value):
    data = np.zeros((3, 3, 3), dtype)
    data[1, 1, 1] = value
    path = tmp_path / "r.nii"
    nib.Nifti1Image(data, np.eye(4), dtype=dtype).to_filename(path)
    with pytest.raises(
        ValueError, match=rf"r\.nii: labels must lie in .* {int(value)} \(1 voxels\)"
    ):
        read_volume(path, labels=True)


@pytest.mark.parametrize("dtype", ["int64", "uint64", "uint32", "uint16", "int8"])
def test_other_integers_are_read_safely(tmp_path, dtype):
    value = min(2**31 - 1, np.iinfo(dtype).max)
    data = np.full((3, 3, 3), value, dtype)
    path = tmp_path / "i.nii"
    nib.Nifti1Image(data, np.eye(4), dtype=dtype).to_filename(path)
    volume = read_volume(path, labels=True)
    assert volume.data.dtype == "int32" and (volume.data == value).all()


def test_volume_refuses_wrong_shapes():
    with pytest.raises(ValueError, match="2 or 3 spatial axes"):
        Volume(np.zeros(3), np.eye(4))
    with pytest.raises(ValueError, match=r"\(4, 4\)"):
        Volume(np.zeros((3, 3)), np.eye(3))


# Real files


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("scans/e_T1_head.nii.gz", False),
        ("scans/d_lesion.nii.gz", True),
        ("scans/b_T1_head.nii.gz", False),
        ("templates/mni_brainmask_1mm.nii.gz", True),
        ("label_maps/head_09.nii.gz", True),
    ],
)
def test_real_files_read_as_nibabel_reads_them_and_write_back(tmp_path, shared, name, labels):
    path = shared(f"data/{name}")
    volume = read_volume(path, labels=labels)
    image = nib.load(path)
    np.testing.assert_array_equal(volume.data, np.asarray(image.dataobj).astype(volume.data.dtype))
    np.testing.assert_array_equal(volume.affine, image.affine)
    assert volume.data.dtype == ("int32" if labels else "float32")
    write_volume(tmp_path / "x.nii", volume.data, like=volume)
    again = read_volume(tmp_path / "x.nii", labels=labels)
    assert again.affine.tobytes() == volume.affine.tobytes()


@pytest.mark.slow
def test_every_real_file_reads_without_a_warning(shared):
    paths = sorted(shared("data/README.md").parent.glob("*/*.nii.gz"))
    assert len(paths) > 50
    for path in paths:
        labels = any(word in path.name for word in ("label", "head_", "fetal", "mask", "lesion"))
        labels &= path.parent.name != "scans" or "_head" not in path.name
        assert read_volume(path, labels=labels).data.dtype == ("int32" if labels else "float32")


def test_images_in_double_precision(tmp_path):
    data = np.random.default_rng(0).normal(size=(3, 4, 5)) + 1e6
    path = save(tmp_path / "a.nii", data)
    np.testing.assert_array_equal(read_volume(path, dtype="float64").data, data)
    assert read_volume(path).data.dtype == "float32"
