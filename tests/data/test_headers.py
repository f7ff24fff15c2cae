"""Headers of NIfTI and MGH: what nibabel repairs is read as it does, and said (row 5)."""

import logging
import warnings

import nibabel as nib
import numpy as np
import pytest

from synthtf.data.volumes import read_geometry, read_volume

AFFINE = np.array([[0, 0, 2.0, -74], [-2, 0, 0, 116], [0, 2, 0, -136], [0, 0, 0, 1]])
DATA = np.random.default_rng(0).integers(0, 99, (12, 13, 14)).astype("int16")
NAN, INF = float("nan"), float("inf")


def write(path, qform=1, sform=0, data=DATA, affine=AFFINE, **fields):
    """Write a volume whose header fields are not corrected."""
    image = nib.Nifti1Image(data, affine)
    image.header.set_qform(affine if qform else None, qform)
    image.header.set_sform(affine if sform else None, sform)
    whole = image.to_bytes()
    header = nib.Nifti1Header(whole[:348], check=False)
    for name, value in fields.items():
        header[name] = value
    path.write_bytes(header.binaryblock + whole[348:])
    return path


def read(path, **options):
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        volume = read_volume(path, **options)
    return volume, [str(note.message) for note in notes]


@pytest.fixture(autouse=True)
def _quiet():
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(before)


@pytest.mark.parametrize(
    "forms", [{"qform": 1}, {"qform": 1, "sform": 2}, {"qform": 0, "sform": 1}]
)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pixdim", [0, 2, 2, 2, 1, 1, 1, 1]),
        ("pixdim", [3, 2, 2, 2, 1, 1, 1, 1]),
        ("pixdim", [-1, -2, 2, 2, 1, 1, 1, 1]),
        ("pixdim", [1, 2, 2, -2, 1, 1, 1, 1]),
        ("pixdim", [1, 0, 2, 2, 1, 1, 1, 1]),
        ("sizeof_hdr", 0),
        ("sizeof_hdr", 540),
        ("magic", b"ni1"),
        ("bitpix", 8),
        ("qform_code", 77),
        ("sform_code", -3),
        ("scl_slope", INF),
        ("xyzt_units", 3),
    ],
)
def test_repaired_as_nibabel_does_and_said(tmp_path, forms, field, value):
    path = write(tmp_path / "a.nii", **forms, **{field: value})
    known = nib.load(path)
    volume, said = read(path)
    np.testing.assert_array_equal(volume.data, known.get_fdata())
    np.testing.assert_allclose(volume.affine, known.affine, atol=1e-4)
    assert said and all(str(path) in line for line in said)
    shape, affine = read_geometry(path)
    np.testing.assert_array_equal(affine, volume.affine)
    assert shape == known.shape


def test_voxels_that_start_at_an_odd_place(tmp_path):
    path = write(tmp_path / "a.nii", vox_offset=353)
    whole = path.read_bytes()
    path.write_bytes(whole[:352] + b"\0" + whole[352:])
    volume, (note,) = read(path)
    np.testing.assert_array_equal(volume.data, DATA)
    assert "353" in note


def test_a_sound_header_is_not_doubted(tmp_path):
    for forms in ({"qform": 1}, {"qform": 1, "sform": 1}, {"qform": 0, "sform": 4}):
        assert read(write(tmp_path / "a.nii", **forms))[1] == []
    flat = write(tmp_path / "b.nii", data=DATA[:, :, 0], qform=0, sform=1)
    assert read(flat)[1] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("vox_offset", 0), ("vox_offset", 16), ("datatype", 77), ("scl_inter", NAN), ("magic", b"")],
)
def test_what_nibabel_refuses_is_refused_in_a_line(tmp_path, field, value):
    more = {"scl_slope": 2} if field == "scl_inter" else {}
    path = write(tmp_path / "a.nii", **{field: value}, **more)
    with pytest.raises(ValueError, match=r"a\.nii is corrupt") as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("offset", [0, 352])
def test_a_pair_is_named(tmp_path, offset):
    whole = write(tmp_path / "a.nii", magic=b"ni1", vox_offset=offset).read_bytes()
    path = tmp_path / "b.nii"
    path.write_bytes(whole[:348])
    with pytest.raises(ValueError, match=r"pair \.hdr and \.img|truncated"):
        read_volume(path)


@pytest.mark.parametrize("name", ["a.nii", "a.mgh"])
def test_a_format_under_the_name_of_another_is_named(tmp_path, name):
    kind, other = (nib.MGHImage, "MGH") if name == "a.nii" else (nib.Nifti1Image, "NIfTI")
    path = tmp_path / name
    path.write_bytes(kind(DATA, AFFINE).to_bytes())
    with pytest.raises(ValueError, match=f"it is a file of {other}; give it a name"):
        read_volume(path)


@pytest.mark.parametrize(("pixdim", "affine_mm"), [(1, 2), (2, 2.1), (4, 2)])
def test_voxel_sizes_that_differ_are_said(tmp_path, pixdim, affine_mm):
    affine = np.diag([affine_mm, 2, 2, 1])
    path = write(
        tmp_path / "a.nii", qform=0, sform=1, affine=affine, pixdim=[1, pixdim, 2, 2, 0, 0, 0, 0]
    )
    volume, (note,) = read(path)
    assert volume.spacing == pytest.approx((affine_mm, 2, 2))
    assert f"its pixdim says voxels of {pixdim} x 2 x 2 mm" in note


@pytest.mark.parametrize("slope", [1e-30, -1e20])
def test_odd_slopes_are_said(tmp_path, slope):
    _, (note,) = read(write(tmp_path / "a.nii", scl_slope=slope, scl_inter=0))
    assert "scales voxels by" in note


@pytest.mark.parametrize(
    ("shape", "fields"),
    [
        ((2562, 1, 1), {}),
        ((1, 1, 300), {}),
        ((27307, 1, 6), {}),
        ((427, 1, 6), {}),
        ((300, 1, 1, 4), {}),
        ((2562, 1, 1), {"intent_code": 2005}),
        ((4, 5, 6), {"intent_code": 2005}),
        ((4, 5, 6), {"intent_code": 3006}),
    ],
)
@pytest.mark.parametrize("frames", [False, True])
def test_overlays_are_named(tmp_path, shape, fields, frames):
    path = write(tmp_path / "a.nii", data=np.ones(shape, "float32"), **fields)
    with pytest.raises(ValueError, match=r"a surface overlay|CIFTI") as caught:
        read(path, frames=frames)
    assert str(caught.value).startswith(f"{path} must be an image")


def test_overlays_of_freesurfer_are_named(tmp_path):
    path = tmp_path / "lh.thickness.mgz"
    nib.save(nib.MGHImage(np.ones((2562, 1, 1), "float32"), np.eye(4)), path)
    with pytest.raises(ValueError, match="a surface overlay"):
        read_volume(path)
    # FreeSurfer puts the number of vertices elsewhere where it is too large for NIfTI.
    path = write(
        tmp_path / "lh.thickness.nii",
        data=np.ones((100, 100, 4), "int16"),
        dim=[3, -1, 1, 1, 1, 1, 1, 1],
        glmin=40_000,
    )
    with pytest.raises(ValueError, match="a surface overlay"):
        read(path)


@pytest.mark.parametrize(("kind", "what"), [(2, "a surface overlay"), (3, "a warp")])
def test_kinds_of_freesurfer_8_are_named(tmp_path, kind, what):
    path = tmp_path / "a.mgh"
    whole = bytearray(nib.MGHImage(np.ones((5, 5, 5), "float32"), np.eye(4)).to_bytes())
    whole[1] = kind
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=f"it is {what}, not a volume"):
        read_volume(path)


@pytest.mark.parametrize("intent", [1006, 1007, 1008, 2006, 2009])
@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (4, 5, 6, 1, 3)])
@pytest.mark.parametrize("frames", [False, True])
def test_fields_are_no_images(tmp_path, intent, shape, frames):
    path = write(tmp_path / "a.nii", data=np.ones(shape, "float32"), intent_code=intent)
    with pytest.raises(ValueError, match="a field of vectors"):
        read(path, frames=frames)
