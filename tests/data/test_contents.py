"""Files that are whole, but not what their names say: named, with the way out that helps."""

import bz2
import gzip
import lzma
import zipfile

import nibabel as nib
import numpy as np
import pytest

from synthtf.data.paths import expand_inputs
from synthtf.data.volumes import read_geometry, read_volume

DATA = np.random.default_rng(0).random((8, 9, 10), dtype="f4")
WHOLE = nib.Nifti1Image(DATA, np.eye(4)).to_bytes()
MGH = nib.MGHImage(DATA, np.eye(4)).to_bytes()


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.nii", WHOLE)
    return path.read_bytes()


ANNEX = b".git/annex/objects/jv/qq/MD5E-s7--8f.nii.gz/MD5E-s7--8f.nii.gz"
KINDS = {
    "annex": (b"../" + ANNEX, "git annex get"),
    "unlocked annex": (b"/annex/objects/MD5E-s7--8f.nii.gz\n", "datalad get"),
    "windows annex": (b"..\\.git\\annex\\objects\\jv\\qq\\MD5E-s7--8f", "datalad get"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "lfs pull"),
    "empty": (b"", "is empty"),
    "zeros": (bytes(5000), "zeros alone"),
    "page": (b"<!DOCTYPE html><html>log in</html>", "HTML page"),
    "late page": (b"\r\n <!-- x --><HTML>" + b"404 " * 400, "HTML page"),
    "answer": (b'{"error": "no such file"}', "JSON"),
    "text": ("Zugriff verweigert: ä".encode(), "a text file that begins 'Zugriff"),
    "gifti": (b'<?xml version="1.0"?><!DOCTYPE GIFTI><GIFTI Version="1.0">', "GIFTI"),
    "dicom": (bytes(128) + b"DICM" + bytes(range(256)), "dcm2niix"),
    "bz2": (bz2.compress(WHOLE), "bunzip2"),
    "xz": (lzma.compress(WHOLE), "unxz"),
    "curv": (b"\xff\xff\xff" + bytes(range(200)), "surface overlay of FreeSurfer"),
    "surface": (b"\xff\xff\xfecreated by me\n\n" + bytes(200), "a surface of FreeSurfer"),
    "tracts": (b"mrtrix tracks\n" + bytes(200), "streamlines"),
    "numpy": (b"\x93NUMPY\1\0" + bytes(200), "NumPy"),
    "twice": (gzip.compress(gzip.compress(WHOLE)), "compressed by gzip twice"),
    "packed page": (gzip.compress(b"<html>log in</html>"), "HTML page"),
}


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mgz"])
@pytest.mark.parametrize("kind", KINDS)
def test_named_with_a_way_out(tmp_path, kind, ending):
    data, hint = KINDS[kind]
    path = tmp_path / f"a{ending}"
    path.write_bytes(data)
    for reader in (read_volume, read_geometry):
        with pytest.raises(ValueError, match=hint) as caught:
            reader(path)
        said = str(caught.value)
        assert said.startswith(f"{path} ") and "\n" not in said and "copy it again" not in said


def test_archives_are_named(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(zipped(tmp_path / "b.zip"))
    with pytest.raises(ValueError, match="a zip archive; unpack it"):
        read_volume(path)
    with pytest.raises(ValueError, match=r"b\.zip: unknown ending.*a zip archive"):
        expand_inputs(tmp_path / "b.zip")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.nii.gz", WHOLE),
        ("a.nii", gzip.compress(WHOLE)),
        ("a.mgz", MGH),
        ("a.mgh", gzip.compress(MGH)),
    ],
)
def test_read_in_spite_of_the_name_and_said(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="compressed, as its name does not say"):
        volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, DATA)
    path.write_bytes(data[:-300])
    with pytest.raises(ValueError, match="truncated"):
        read_volume(path)


def test_a_folder_of_dicom_is_named(tmp_path):
    (tmp_path / "IM0001").write_bytes(KINDS["dicom"][0])
    with pytest.raises(ValueError, match=r"holds no volume.*IM0001 is a DICOM file.*dcm2niix"):
        expand_inputs(tmp_path)
    with pytest.raises(ValueError, match=r"unknown ending.*IM0001 is a DICOM file"):
        expand_inputs(tmp_path / "IM0001")
