import csv
import os

import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.volume_writer import write_volume


def save(path, shift=0, affine=None):
    labels = np.zeros((12, 12, 12), np.int32)
    labels[2 + shift : 6 + shift, 2:6, 2:6] = 4
    labels[8:10, 8:10, 8:10] = 9
    path.parent.mkdir(exist_ok=True)
    write_volume(path, labels, affine=np.diag([1, 1, 2, 1.0]) if affine is None else affine)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "labels.tsv"
    path.write_text("id\tname\n0\tbackground\n4\tventricle\n9\tcaudate\n")
    return str(path)


def cells(text, first):
    return [line.split() for line in text.splitlines() if first in line.split()]


def test_two_files(tmp_path, table, capsys):
    save(tmp_path / "a.nii.gz", shift=1)
    save(tmp_path / "b.nii.gz")
    status = main(
        ["evaluate", str(tmp_path / "a.nii.gz"), str(tmp_path / "b.nii.gz"), "--labels", table]
    )
    output = capsys.readouterr()
    assert (status, output.err) == (0, "")
    # 4³ voxels of 2 mm³, moved by one voxel of 1 mm: three quarters are shared.
    assert cells(output.out, "ventricle") == [["4", "ventricle", "0.750", "1.00", "128", "128"]]
    assert cells(output.out, "caudate") == [["9", "caudate", "1.000", "0.00", "16", "16"]]
    assert cells(output.out, "mean") == [["-", "mean", "0.875", "0.50", "-", "-"]]


def test_folders_and_a_table_of_all(tmp_path, capsys):
    for name, shift in (("a_seg", 0), ("b_seg", 2), ("extra", 0)):
        save(tmp_path / "found" / f"{name}.nii.gz", shift)
    for name in ("a", "b"):
        save(tmp_path / "wanted" / f"{name}.mgz")
    status = main(
        [
            "evaluate",
            str(tmp_path / "found"),
            str(tmp_path / "wanted"),
            "--csv",
            str(tmp_path / "all.csv"),
        ]
    )
    output = capsys.readouterr()
    assert status == 1
    extra = tmp_path / "found" / "extra.nii.gz"
    assert output.err == f"synthtf evaluate: {extra}: no file of the same name on the other side\n"
    assert "Mean of 2 scans" in output.out
    assert cells(output.out, "4")[0][1:4] == ["label", "4", "0.750"]
    with (tmp_path / "all.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["label"], float(row["dice"])) for row in rows] == [
        ("4", 1.0),
        ("9", 1.0),
        ("4", 0.5),
        ("9", 1.0),
    ]


def test_rows_of_other_scans_and_names_that_are_not_utf8_stay(tmp_path, monkeypatch):
    for name in ("a", os.fsdecode(b"M\xfcller")):
        for side in ("found", "wanted"):
            save(tmp_path / side / f"{name}.nii.gz")
        monkeypatch.chdir(tmp_path / "found")
        words = [f"{name}.nii.gz", f"../wanted/{name}.nii.gz", "--csv", "../all.csv"]
        for _ in range(2):
            assert main(["evaluate", *words]) == 0
    with (tmp_path / "all.csv").open(encoding="utf-8", errors="surrogateescape") as stream:
        rows = list(csv.DictReader(stream))
    found = tmp_path / "found"
    assert [(row["scan"], row["label"]) for row in rows] == [
        (str(found / f"{name}.nii.gz"), label)
        for name in ("a", os.fsdecode(b"M\xfcller"))
        for label in ("4", "9")
    ]


def test_a_table_of_others_is_refused(tmp_path, capsys):
    save(tmp_path / "a.nii.gz")
    (tmp_path / "ages.csv").write_text("scan,age\nx,5\n")
    words = [str(tmp_path / "a.nii.gz")] * 2
    assert main(["evaluate", *words, "--csv", str(tmp_path / "ages.csv")]) == 2
    assert "holds 2 other columns" in capsys.readouterr().err
    assert (tmp_path / "ages.csv").read_text() == "scan,age\nx,5\n"


def test_other_grids_fail_and_the_rest_goes_on(tmp_path, capsys):
    save(tmp_path / "found" / "a.nii", affine=np.diag([1, 1, 3, 1.0]))
    save(tmp_path / "found" / "b.nii")
    for name in ("a", "b"):
        save(tmp_path / "wanted" / f"{name}.nii")
    assert main(["evaluate", str(tmp_path / "found"), str(tmp_path / "wanted")]) == 1
    output = capsys.readouterr()
    assert output.err.startswith(f"synthtf evaluate: {tmp_path / 'found' / 'a.nii'}: ")
    assert "same grid" in output.err
    assert cells(output.out, "mean")[0][2] == "1.000"


@pytest.mark.parametrize(
    "words, message",
    [
        (["gone.nii", "a.nii"], "gone.nii does not exist"),
        (["a.nii", "folder"], "Received: the file a.nii and the folder folder"),
        (["a.nii", "a.nii", "--labels", "gone.tsv"], "gone.tsv does not exist"),
        (["a.nii", "a.nii", "--csv", "folder"], "--csv must be a file"),
    ],
)
def test_wrong_usage(tmp_path, monkeypatch, capsys, words, message):
    save(tmp_path / "a.nii")
    save(tmp_path / "folder" / "a.nii")
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *words]) == 2
    assert message in capsys.readouterr().err


def test_an_unlisted_label_is_named(tmp_path, capsys):
    save(tmp_path / "a.nii")
    (tmp_path / "few.tsv").write_text("id\tname\n4\tventricle\n")
    words = [str(tmp_path / "a.nii")] * 2
    assert main(["evaluate", *words, "--labels", str(tmp_path / "few.tsv")]) == 1
    assert "the table does not list: 9 (8 voxels)" in capsys.readouterr().err
