"""Tests of FreeSurfer's colours in files of labels."""

import gzip
import struct

import numpy as np
import pytest

from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_volume
from synthtf.published.colours import colour_table, embed_colours
from synthtf.published.synthseg.labels import PARCELS, VERSION_2


def parse(data):
    """FreeSurfer's binary table: version, largest label, no file name, then the labels."""
    version, largest, length, count = struct.unpack_from(">4i", data)
    place, table = 16, {}
    assert (version, length) == (-2, 0)
    for _ in range(count):
        label, size = struct.unpack_from(">2i", data, place)
        name = data[place + 8 : place + 8 + size]
        *colour, transparent = struct.unpack_from(">4i", data, place + 8 + size)
        assert name.endswith(b"\0") and transparent == 0
        table[label] = name[:-1].decode(), tuple(colour)
        place += 24 + size
    assert largest == max(table) + 1
    return table, data[place:]


@pytest.fixture(autouse=True)
def _no_freesurfer(monkeypatch):
    monkeypatch.delenv("FREESURFER_HOME", raising=False)


def write(path):
    write_volume(path, np.arange(24).reshape(2, 3, 4), affine=np.diag([-1, 1, 2, 1]))
    return path


def test_every_label_has_a_colour():
    table = colour_table()
    assert set(table) == {*VERSION_2.names, *PARCELS}
    assert table[1035] == ("ctx-lh-insula", (255, 192, 32)) and table[53][0] == "Right-Hippocampus"


@pytest.mark.parametrize("ending", ["mgz", "mgh"])
def test_mgh_files(tmp_path, ending):
    path = write(tmp_path / f"a.{ending}")
    embed_colours(path, colour_table())
    data = path.read_bytes()
    data = gzip.decompress(data) if ending == "mgz" else data
    start = 284 + 24 + 20  # header, voxels, parameters of the scan
    assert struct.unpack_from(">i", data, start) == (1,)
    table, rest = parse(data[start + 4 :])
    assert table == colour_table() and rest == b""
    np.testing.assert_array_equal(
        read_volume(path, labels=True).data, np.arange(24).reshape(2, 3, 4)
    )


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_nifti_files(tmp_path, ending):
    path = write(tmp_path / f"a.{ending}")
    before = read_volume(path, labels=True)
    embed_colours(path, colour_table())
    data = path.read_bytes()
    data = gzip.decompress(data) if ending == "nii.gz" else data
    size, code = struct.unpack_from("<2i", data, 352)
    content = data[360 : 352 + size]
    assert code == 14 and content[:4] == b">\0\0\1"
    tag, length = struct.unpack_from(">iq", content, 4)
    table, rest = parse(content[16 : 16 + length])
    assert tag == 1 and table == colour_table() and rest == b""
    assert not any(content[16 + length :])
    after = read_volume(path, labels=True)
    np.testing.assert_array_equal(after.data, before.data)
    np.testing.assert_array_equal(after.affine, before.affine)


def test_other_files_are_left_alone(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(b"x")
    embed_colours(path, colour_table())
    assert path.read_bytes() == b"x"


def test_freesurfers_own_table(tmp_path, monkeypatch):
    path = tmp_path / "FreeSurferColorLUT.txt"
    path.write_text("#$Id\n\n3  Left-Cerebral-Cortex   205 62  78  0 # comment\n")
    monkeypatch.setenv("FREESURFER_HOME", str(tmp_path))
    assert colour_table() == {3: ("Left-Cerebral-Cortex", (205, 62, 78))}
    path.write_text("3 Left 205 62\n")
    with pytest.raises(ValueError, match="line 1, must be"):
        colour_table()
    path.write_text("# nothing\n")
    with pytest.raises(ValueError, match="is empty"):
        colour_table()
