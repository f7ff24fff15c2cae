"""What a user has given or written is used, kept or refused, before any work."""

import json
import os
import shutil

import pytest

from synthtf.cli.main import main

NOTE = '{"EchoTime": 0.003, "note": "typed by hand"}'


def segment(model, scans, out, *more):
    return main([str(w) for w in ("segment", scans, "-o", out, "--model", model.folder, *more)])


@pytest.fixture
def scans(tmp_path, save_scan):
    save_scan(tmp_path / "scans" / "b.nii.gz")
    return tmp_path / "scans"


def files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("content", [NOTE, "", "[1, 2]", '{"SynthtfVersion": 3}', "\udcff"])
def test_a_json_file_of_the_user_is_kept(scans, model, tmp_path, capsys, content):
    path = tmp_path / "brain.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    before = files(tmp_path)
    assert segment(model, scans / "b.nii.gz", tmp_path / "brain.nii.gz") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line and "--no-sidecar" in line and files(tmp_path) == before
    assert model.loads == 0
    assert segment(model, scans / "b.nii.gz", tmp_path / "brain.nii.gz", "--no-sidecar") == 0
    assert path.read_bytes() == before[path]


def test_an_own_json_file_is_replaced(scans, model, tmp_path):
    for _ in range(2):
        assert segment(model, scans / "b.nii.gz", tmp_path / "seg.nii.gz") == 0
    assert "SynthtfVersion" in json.loads((tmp_path / "seg.json").read_text())


def test_a_link_that_is_a_json_file_of_the_user(scans, model, tmp_path, capsys):
    (tmp_path / "notes.json").write_text(NOTE)
    (tmp_path / "seg.json").symlink_to(tmp_path / "notes.json")
    assert segment(model, scans / "b.nii.gz", tmp_path / "seg.nii.gz") == 2
    assert (tmp_path / "notes.json").read_text() == NOTE and (tmp_path / "seg.json").is_symlink()


@pytest.mark.parametrize("again", [(), ("--skip-existing",), ("--posteriors",)])
def test_running_again_into_the_folder_of_the_scans(scans, model, save_scan, capsys, again):
    assert segment(model, scans, scans, *again) == 0
    save_scan(scans / "c.nii.gz")
    assert segment(model, scans, scans, *again) == 0
    names = {p.name for p in scans.glob("*_seg.nii.gz")}
    assert names == {"b_seg.nii.gz", "c_seg.nii.gz"}
    assert "left out" in capsys.readouterr().err


def test_outputs_of_elsewhere_are_scans(scans, model, tmp_path, capsys):
    assert segment(model, scans, tmp_path / "first") == 0
    assert segment(model, tmp_path / "first", tmp_path / "second") == 0
    assert [p.name for p in (tmp_path / "second").glob("*.nii.gz")] == ["b_seg_seg.nii.gz"]
    assert "left out" not in capsys.readouterr().err


def test_a_volume_of_the_user_that_is_called_like_an_output(scans, model, save_scan, capsys):
    save_scan(scans / "b_seg.nii.gz")
    before = files(scans)
    assert segment(model, scans, scans) == 2
    assert "b_seg.nii.gz is also an input" in capsys.readouterr().err and files(scans) == before


TABLES = {
    "evaluate": "evaluate {scan} {scan} --csv {folder}/mine.csv",
    "segment": "segment {scan} -o {folder}/o.nii.gz --model {model} --vol {folder}/mine.csv",
    "labels": "labels enrich {scan} {scan} -o {folder}/mine.nii.gz",
    "train": "train segmentation {scan} -o {folder} --epochs 1",
    "export": "export {model} -o {folder}",
}
KEPT = {"labels": "mine.tsv", "train": "labels.tsv", "export": "labels.tsv"}


@pytest.mark.parametrize("command", TABLES)
def test_tables_of_the_user_are_kept(model, tmp_path, save_scan, capsys, command):
    path = tmp_path / "results" / KEPT.get(command, "mine.csv")
    save_scan(tmp_path / "a.nii.gz")
    scan = tmp_path / "a.nii.gz"
    if command != "segment":
        segment(model, scan, tmp_path / "map.nii.gz")
        scan = tmp_path / "map.nii.gz"
    path.parent.mkdir()
    path.write_text("subject,age\n1,30\n")
    values = {"scan": scan, "folder": path.parent, "model": model.folder}
    words = [word.format(**values) for word in TABLES[command].split()]
    capsys.readouterr()
    assert main(words) in (1, 2)
    assert str(path) in capsys.readouterr().err.splitlines()[-1]
    assert files(path.parent) == {path: b"subject,age\n1,30\n"}


def test_what_was_added_to_a_data_set_of_derivatives_stays(model, tmp_path, save_scan):
    save_scan(tmp_path / "raw" / "sub-1" / "anat" / "sub-1_T1w.nii.gz")
    (tmp_path / "raw" / "dataset_description.json").write_text('{"Name": "x"}')
    out = tmp_path / "synthtf"
    assert segment(model, tmp_path / "raw", out) == 0
    path = out / "dataset_description.json"
    facts = json.loads(path.read_text())
    other = {"Name": "fMRIPrep", "Version": "1"}
    facts |= {"Authors": ["me"], "GeneratedBy": [*facts["GeneratedBy"], other]}
    path.write_text(json.dumps(facts))
    table = out / "dseg.tsv"
    table.write_text(f"{table.read_text()}900\tmine\n")
    assert segment(model, tmp_path / "raw", out) == 0
    found = json.loads(path.read_text())
    assert found["Authors"] == ["me"] and other in found["GeneratedBy"]
    assert [x["Name"] for x in found["GeneratedBy"]].count("synthtf") == 1
    assert len(found["SourceDatasets"]) == 1 and "900\tmine\n" in table.read_text()
    table.write_text("index\tname\tcolour\n0\tair\tred\n")
    assert segment(model, tmp_path / "raw", out) == 1
    assert table.read_text() == "index\tname\tcolour\n0\tair\tred\n"


def long_name(length, ending):
    return "a" * (length - len(ending)) + ending


@pytest.mark.parametrize(
    "words",
    [
        "-o {folder}/{name}.nii.gz",
        "-o {folder}/o.nii.gz --vol {folder}/{name}.csv",
        "-o {folder}/{name}/o.nii.gz",
    ],
)
def test_names_that_are_too_long(scans, model, tmp_path, capsys, words):
    words = words.format(folder=tmp_path / "out", name="é" * 130).split()
    (tmp_path / "out").mkdir()
    status = main(["segment", str(scans / "b.nii.gz"), *words, "--model", model.folder])
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 2 and ("oo long" in line or "a name may have 255 bytes" in line)
    assert model.loads == 0 and not list((tmp_path / "out").iterdir())


def test_the_longest_names(scans, model, tmp_path, save_scan, capsys):
    """With the suffix, 255 bytes are written and 256 are refused before the work."""
    folder = tmp_path / "long"
    save_scan(folder / long_name(251, ".nii.gz"))
    assert segment(model, folder, tmp_path / "out") == 0
    (found,) = (tmp_path / "out").glob("*.nii.gz")
    assert len(found.name) == 255
    shutil.move(folder / long_name(251, ".nii.gz"), folder / long_name(252, ".nii.gz"))
    capsys.readouterr()
    assert segment(model, folder, tmp_path / "out2") == 2
    assert "Received: 256 bytes" in capsys.readouterr().err and not (tmp_path / "out2").exists()


def refused(folder):
    (folder / "read-only.nii.gz").touch()
    (folder / "read-only.nii.gz").chmod(0o444)
    (folder / "away.nii.gz").symlink_to(folder / "gone" / "x.nii.gz")
    (folder / "folder.nii.gz").mkdir()
    os.mkfifo(folder / "pipe.nii.gz")
    (folder / "file").touch()
    (folder / "nothing").symlink_to(folder / "gone")
    return {
        "read-only.nii.gz": "is read-only",
        "away.nii.gz": "whose folder does not exist",
        "folder.nii.gz": "is a folder",
        "pipe.nii.gz": "a device or a pipe",
        "file/x.nii.gz": "the file",
        "nothing/x.nii.gz": "links to nothing",
    }


def test_outputs_that_are_refused_before_the_work(scans, model, tmp_path, capsys):
    for name, message in refused(tmp_path).items():
        assert segment(model, scans / "b.nii.gz", tmp_path / name) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line and str(tmp_path) in line, line
    assert segment(model, scans / "b.nii.gz", "/proc/none/x.nii.gz") == 2
    assert main(["evaluate", *[str(scans / "b.nii.gz")] * 2, "--csv", "/dev/null"]) == 2
    assert model.loads == 0 and not os.path.isfile("/dev/null")


def test_links_are_followed_and_the_umask_is_kept(scans, model, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "seg.nii.gz").symlink_to(tmp_path / "store" / "x.nii.gz")
    before = os.umask(0o027)
    try:
        assert segment(model, scans / "b.nii.gz", tmp_path / "seg.nii.gz") == 0
    finally:
        os.umask(before)
    assert (tmp_path / "seg.nii.gz").is_symlink()
    for path in (tmp_path / "store" / "x.nii.gz", tmp_path / "seg.json"):
        assert path.stat().st_mode & 0o777 == 0o640


def test_a_current_folder_that_was_deleted(scans, tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["segment", str(scans / "b.nii.gz"), "-o", "x.nii.gz"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "the current folder was deleted" in line
