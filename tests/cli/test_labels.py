import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.label_table import LabelTable
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_volume

AFFINE = np.diag([-2.0, 2.0, 2.0, 1.0])


@pytest.fixture
def files(tmp_path):
    """A scan of two nested cubes, the inner of two intensities and labelled."""
    image = np.zeros((16, 16, 16), "float32")
    image[3:13, 3:13, 3:13] = 40 + 5 * np.arange(10)
    labels = np.zeros(image.shape, "int32")
    labels[5:11, 5:11, 5:11] = 17
    image[5:8, 5:11, 5:11], image[8:11, 5:11, 5:11] = 60, 90
    write_volume(tmp_path / "scan ü.nii.gz", image, affine=AFFINE)
    write_volume(tmp_path / "seg.nii.gz", labels, affine=AFFINE)
    (tmp_path / "names.tsv").write_text("id\tname\n17\tcube\n")
    return tmp_path


def labels(files, action, *words, out="out.nii.gz"):
    inputs = (files / "scan ü.nii.gz", files / "seg.nii.gz")
    return main(["labels", action, *map(str, inputs), "-o", str(files / out), *map(str, words)])


def test_enrich(files, capsys):
    words = ("--parts", 2, "--labels", 17, "--table", files / "names.tsv")
    assert labels(files, "enrich", *words) == 0
    output, listed = files / "out.nii.gz", files / "out.tsv"
    assert capsys.readouterr().out == f"{output}: 3 labels; {listed}\n"
    volume, table = read_volume(output, labels=True), LabelTable.read(listed)
    assert (volume.data[5:8, 5:11, 5:11] == 17).all() and (volume.data[8:11, 7, 7] == 18).all()
    np.testing.assert_array_equal(volume.affine, AFFINE)
    assert table.ids == (0, 17, 18) and table.mapping[18] == 17
    assert table.name(18) == "cube part 2"


def test_build(files):
    assert labels(files, "build", "--parts", 3) == 0
    volume, table = (
        read_volume(files / "out.nii.gz", labels=True),
        LabelTable.read(files / "out.tsv"),
    )
    assert set(np.unique(volume.data)) == {0, 17, 18, 19, 20} == set(table.ids)
    assert (volume.data[5:11, 5:11, 5:11] == 17).all()
    assert (volume.data[3:13, 3:13, 3:13] > 0).mean() > 0.95 and volume.data[0, 0, 0] == 0
    assert volume.data[8, 3, 4] < volume.data[8, 3, 12]
    assert [table.mapping[i] for i in (18, 19, 20)] == [0, 0, 0]


def test_same_bytes_twice(files):
    for name in ("a.nii.gz", "b.nii.gz"):
        assert labels(files, "build", out=name) == 0
    for ending in ("nii.gz", "tsv"):
        assert (files / f"a.{ending}").read_bytes() == (files / f"b.{ending}").read_bytes()


@pytest.mark.parametrize(
    "action, words, status, message",
    [
        ("enrich", ["--parts", "1"], 2, "`num_parts` must lie in [2, 255]"),
        ("build", ["--parts", "0"], 2, "`num_parts` must lie in [2, 255]"),
        ("enrich", ["--table", "none.tsv"], 2, "none.tsv does not exist"),
        ("enrich", ["--labels", "4"], 1, "seg.nii.gz: no voxel of label 4"),
        ("enrich", ["--parts", "3", "--labels", "17"], 1, "ü.nii.gz: in label 17: `num_parts`"),
    ],
)
def test_errors_are_one_line(files, capsys, action, words, status, message):
    assert labels(files, action, *words) == status
    error = capsys.readouterr().err
    assert error.startswith("synthtf labels: ") and message in error
    assert error.count("\n") == 1
    assert not (files / "out.nii.gz").exists()


def test_wrong_files(files, capsys):
    other = AFFINE.copy()
    other[0, 3] = 3
    seg = read_volume(files / "seg.nii.gz", labels=True)
    for data, affine, message in (
        (seg.data, other, "put a corner 3 mm apart"),
        (seg.data[:-1], AFFINE, "(15, 16, 16)"),
    ):
        write_volume(files / "seg.nii.gz", data, affine=affine)
        assert labels(files, "build") == 1
        error = capsys.readouterr().err
        assert "seg.nii.gz" in error and message in error and error.count("\n") == 1
    for name, message in (("seg.nii.gz", "is also an input"), ("x.txt", "unknown ending")):
        assert labels(files, "build", out=name) == 2
        assert message in capsys.readouterr().err
    assert labels(files, "build", "--table", files / "names.tsv", out="names.nii.gz") == 2
    assert "is the table that is read" in capsys.readouterr().err


def test_debug_and_help(files, capsys):
    assert labels(files, "enrich", "--labels", 4, "--debug") == 1
    assert "Traceback" in capsys.readouterr().err
    for action in ("enrich", "build"):
        with pytest.raises(SystemExit) as stop:
            main(["labels", action, "--help"])
        assert stop.value.code == 0
        assert f"usage: synthtf labels {action}" in capsys.readouterr().out
