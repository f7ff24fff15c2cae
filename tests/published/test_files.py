"""Tests of the names that files of SynthSeg and SynthSR get."""

from pathlib import Path

import pytest

from synthtf.published.files import Files, with_suffix


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("b.nii.gz", "a.mgz", "c.npz", "notes.txt", ".hidden.nii"):
        (folder / name).touch()
    return folder


def names(paths):
    return [path.name for path in paths]


def test_an_image_gets_a_file_or_a_folder(scans, tmp_path):
    scan, out = scans / "b.nii.gz", tmp_path / "out"
    files = Files.plan(scan, {"segmentation": out, "posteriors": tmp_path / "p.mgz"})
    assert files.outputs["segmentation"] == [out / "b_synthseg.nii.gz"]
    assert files.outputs["posteriors"] == [tmp_path / "p.mgz"] and files.shared
    tables = Files.plan(scan, {"segmentation": out, "volumes": "v", "quality": "q.csv"}).tables
    assert tables == {"volumes": [Path("v.csv")], "quality": [Path("q.csv")]}


def test_a_folder_gets_folders(scans, tmp_path):
    targets = {"segmentation": tmp_path / "s", "posteriors": tmp_path / "p", "volumes": "v.csv"}
    files = Files.plan(scans, {**targets, "resampled": tmp_path / "r", "quality": None})
    assert names(files.scans) == ["a.mgz", "b.nii.gz", "c.npz"]
    assert names(files.outputs["segmentation"]) == [
        *("a_synthseg.mgz", "b_synthseg.nii.gz", "c_synthseg.npz")
    ]
    assert names(files.outputs["posteriors"])[1] == "b_posteriors.nii.gz"
    assert names(files.outputs["resampled"])[0] == "a_resampled.mgz"
    assert files.tables == {"volumes": [Path("v.csv")]} and files.shared
    assert with_suffix("x.nii.y.nii", "synthseg") == "x.nii.y_synthseg.nii"


def test_a_list_gets_lists(tmp_path):
    for name, lines in {
        "in.txt": "a.nii\n\n b c.mgz\n",
        "out.txt": "x.nii.gz\ny.nii.gz\n",
        "vol.txt": "x.csv\ny.csv\n",
    }.items():
        (tmp_path / name).write_text(lines)
    targets = {"segmentation": tmp_path / "out.txt", "volumes": tmp_path / "vol.txt"}
    files = Files.plan(tmp_path / "in.txt", targets)
    assert files.scans == [Path("a.nii"), Path("b c.mgz")] and not files.shared
    assert files.tables["volumes"] == [Path("x.csv"), Path("y.csv")]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("absent.nii", "x.nii", "does not exist"),
        ("absent", "x", "does not exist"),
        ("empty", "x", "has no images"),
        ("scans/notes.md", "x", "unknown ending"),
        ("scans", "x.nii", "--o must be a folder since --i is one"),
        ("scans", "x.txt", "--o can only be a .txt list if --i is one"),
        ("scans/b.nii.gz", "x.txt", "--o can only be a .txt list"),
        ("list.txt", "x.nii", "--o must be a .txt list since --i is one"),
        ("list.txt", "two.txt", "must list 1 files"),
        ("list.txt", "wrong.txt", "unknown ending"),
        ("none.txt", "two.txt", "is an empty list"),
        ("scans/b.nii.gz", "scans/b.nii.gz", "is also an input"),
    ],
)
def test_outputs_that_do_not_fit(scans, tmp_path, monkeypatch, source, target, message):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    (scans / "notes.md").touch()
    lists = {"list.txt": "a.nii", "two.txt": "x.nii\ny.nii", "wrong.txt": "x.png", "none.txt": ""}
    for name, text in lists.items():
        Path(name).write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Files.plan(source, {"segmentation": target})


def test_two_outputs_of_one_name(scans):
    targets = {"segmentation": "x.nii", "posteriors": "./x.nii"}
    with pytest.raises(ValueError, match="two outputs would be written"):
        Files.plan(scans / "b.nii.gz", targets)
