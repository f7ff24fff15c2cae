"""Damaged files are refused, whatever the damage (rows 3, 4, 5, 6, 10, 32)."""

import gzip
import tracemalloc
import warnings

import nibabel as nib
import numpy as np
import pytest

from synthtf.data.integrity import read_verified
from synthtf.data.volumes import read_volume


@pytest.fixture
def good(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 1000, (20, 18, 16)).astype("int16")
    path = tmp_path / "good.nii.gz"
    nib.save(nib.Nifti1Image(data, np.diag([2.0, 2, 2, 1])), path)
    return path, data


def test_verified_voxels_are_those_of_the_file(good):
    path, data = good
    found, voxels = read_verified(path)
    np.testing.assert_array_equal(voxels, data)
    assert (found.shape, found.dtype, found.offset) == ((20, 18, 16), np.dtype("int16"), 352)


@pytest.mark.parametrize("kept", [0, 5, 18, 200, 0.5, 0.9, -8, -1])
def test_truncated_gz(good, tmp_path, kept):
    whole = good[0].read_bytes()
    count = int(kept * len(whole)) if isinstance(kept, float) else kept
    path = tmp_path / "cut.nii.gz"
    path.write_bytes(whole[:count])
    with pytest.raises(ValueError, match=r"cut\.nii\.gz is (truncated|corrupt|empty)"):
        read_volume(path)


def test_truncated_nii(good, tmp_path):
    path = tmp_path / "cut.nii"
    path.write_bytes(gzip.decompress(good[0].read_bytes())[:-1])
    with pytest.raises(ValueError, match=r"cut\.nii is truncated"):
        read_volume(path)


def test_gz_that_ends_well_but_early_is_truncated(good, tmp_path):
    path = tmp_path / "short.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(good[0].read_bytes())[:-100]))
    with pytest.raises(ValueError, match=r"is truncated: the header claims 11,872 bytes"):
        read_volume(path)


def test_every_flipped_bit_is_found(good, tmp_path):
    whole, data = good[0].read_bytes(), good[1]
    path = tmp_path / "flipped.nii.gz"
    # nibabel writes a file name into the gzip header: bits there say nothing about the volume.
    start = whole.index(b"\x00", 10) + 1 if whole[3] & 8 else 10
    rng = np.random.default_rng(1)
    silent = 0
    for position in [*rng.integers(start, len(whole), 60), len(whole) - 1, len(whole) - 8]:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="corrupt"):
            read_volume(path)
        try:
            silent += not np.array_equal(np.asarray(nib.load(path).dataobj), data)
        except Exception:
            continue
    assert silent > 0  # the damage is of the kind that nibabel does not see


@pytest.mark.parametrize("name", ["huge.nii", "huge.nii.gz"])
def test_absurd_claim_is_refused_before_allocation(tmp_path, name):
    header = nib.Nifti1Header()
    header.set_data_shape((32000, 32000, 32000))
    header["vox_offset"], header["magic"] = 352, b"n+1\0"
    raw = header.binaryblock + bytes(100_000)
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"claims 32000 x 32000 x 32000 voxels"):
        read_volume(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


def test_volume_larger_than_memory_is_refused(good, monkeypatch):
    monkeypatch.setattr("synthtf.data.integrity._memory_bytes", lambda: 1000)
    with pytest.raises(ValueError, match="crop or downsample"):
        read_volume(good[0])


def test_bomb_behind_the_voxels_is_refused(good, tmp_path):
    raw = gzip.decompress(good[0].read_bytes()) + bytes(40_000_000)
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(raw, 1))
    with pytest.raises(ValueError, match="corrupt: more than"):
        read_volume(path)


def test_a_little_padding_at_the_end_is_accepted(good, tmp_path):
    path = tmp_path / "padded.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(good[0].read_bytes()) + bytes(512)))
    np.testing.assert_array_equal(read_volume(path).data, good[1])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("magic", b"ni3\0"),
        ("vox_offset", 1e30),
        ("vox_offset", float("nan")),
        ("vox_offset", 0),
        ("datatype", 77),
        ("dim", [3, 20, -18, 16, 1, 1, 1, 1]),
        ("dim", [3, 20, 0, 16, 1, 1, 1, 1]),
        ("dim", [0, 20, 18, 16, 1, 1, 1, 1]),
    ],
)
def test_damaged_header_is_refused(good, tmp_path, field, value):
    raw = gzip.decompress(good[0].read_bytes())
    header = nib.Nifti1Header(raw[:348], check=False)
    header[field] = value
    path = tmp_path / "damaged.nii"
    path.write_bytes(header.binaryblock + raw[348:])
    with pytest.raises(ValueError, match=r"damaged\.nii is corrupt"):
        read_volume(path)


@pytest.mark.parametrize("kept", [10, 300, -40])
def test_truncated_mgz(tmp_path, kept):
    path = tmp_path / "cut.mgz"
    nib.save(nib.MGHImage(np.ones((9, 8, 7), "float32"), np.eye(4)), path)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:kept]))
    if kept < 0:  # only the footer of 20 bytes and the last voxels are gone
        with pytest.raises(ValueError, match=r"cut\.mgz is truncated"):
            read_volume(path)
    else:
        with pytest.raises(ValueError, match=r"cut\.mgz is (corrupt|truncated)"):
            read_volume(path)


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / "object.npy"
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(
        ValueError, match=r"object\.npy: unknown ending; it must be one of \.nii\.gz"
    ):
        read_volume(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.nii does not exist"):
        read_volume(tmp_path / "none.nii")
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(FileNotFoundError, match=r"folder\.nii is a folder"):
        read_volume(tmp_path / "folder.nii")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgh", "a.mgz"])
@pytest.mark.parametrize("more", [b"\1", b"\1" * 24, bytes(600)])
def test_what_follows_the_voxels_is_doubted(tmp_path, name, more):
    kind = nib.MGHImage if name[2] == "m" else nib.Nifti1Image
    raw = kind(np.ones((3, 4, 5), "float32"), np.eye(4)).to_bytes() + more
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name[-1] == "z" else raw)
    with pytest.warns(UserWarning, match="bytes follow the voxels"):
        read_header_and_voxels(path)


def read_header_and_voxels(path):
    found, _ = read_verified(path)
    for doubt in found.doubts:
        warnings.warn(doubt, UserWarning, stacklevel=1)


@pytest.mark.parametrize("tags", [b"", b"\0\0\0\3" + (5).to_bytes(8, "big") + b"abcde"])
def test_the_footer_of_freesurfer_is_not_doubted(tmp_path, tags):
    raw = nib.MGHImage(np.ones((3, 4, 5), "float32"), np.eye(4)).to_bytes()
    path = tmp_path / "a.mgh"
    path.write_bytes(raw + tags)
    assert read_verified(path)[0].doubts == ()


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_versions_and_byte_orders(tmp_path, kind, order):
    data = np.arange(24, dtype="int32").reshape(2, 3, 4)
    header = kind.header_class(endianness=order)
    header.set_data_dtype("int32")
    path = tmp_path / "x.nii"
    kind(data.astype(f"{order}i4"), np.diag([1.0, 2, 3, 1]), header).to_filename(path)
    volume = read_volume(path, labels=True)
    np.testing.assert_array_equal(volume.data, data)
    assert volume.spacing == (1, 2, 3)
