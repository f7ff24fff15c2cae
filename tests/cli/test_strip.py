import argparse
import json
import shutil

import nibabel
import numpy as np
import pytest
from stripping_runs import scan, write_run

from synthtf.cli.main import main
from synthtf.cli.strip import add_parser
from synthtf.data.volume_writer import write_volume
from synthtf.inference.defaults import BORDER


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, and two scans of different geometry."""
    folder = tmp_path_factory.mktemp("data ü")
    write_run(folder / "run")
    for name, volume in (("a", scan()[0]), ("b", scan((1, 2, 3), (96, 48, 32), "LPS")[0])):
        write_volume(folder / f"scans/{name}.nii.gz", volume.data, affine=volume.affine)
    return folder


def run(folder, *words, scans="scans/a.nii.gz"):
    words = ["strip", folder / scans, "--model", folder / "run", *words]
    return main([str(word) for word in words])


def read(path):
    return np.asarray(nibabel.load(path).dataobj)


def test_writes_scan_mask_and_distance(folder, tmp_path, error_lines):
    paths = [tmp_path / f"{name}.nii.gz" for name in "omd"]
    words = ("-o", paths[0], "-m", paths[1], "-d", paths[2], "-b", "2")
    assert run(folder, *words) == 0
    assert error_lines() == []
    image, mask, distance = map(read, paths)
    original = read(folder / "scans/a.nii.gz")
    np.testing.assert_array_equal(image, original * mask)
    assert 0 < mask.mean() < 0.5
    # The last slices hold a second component.
    np.testing.assert_array_equal(mask[:40] == 1, distance[:40] < 2)
    for path in paths:
        np.testing.assert_array_equal(
            nibabel.load(path).affine, nibabel.load(folder / "scans/a.nii.gz").affine
        )


def test_the_border_of_tissue_is_further_inside(folder, tmp_path):
    assert run(folder, "-m", tmp_path / "a.nii.gz") == 0
    assert run(folder, "-m", tmp_path / "b.nii.gz", "--no-csf", "--no-flip") == 0
    assert 0 < read(tmp_path / "b.nii.gz").sum() < read(tmp_path / "a.nii.gz").sum()


def test_a_folder_with_a_bad_scan(folder, tmp_path, error_lines):
    (folder / "scans" / "c.nii.gz").write_bytes(b"no scan")
    try:
        status = run(folder, "-m", tmp_path / "m", "-o", tmp_path / "o", scans="scans")
    finally:
        (folder / "scans" / "c.nii.gz").unlink()
    assert status == 1
    bad, summary = error_lines()
    assert "c.nii.gz: " in bad
    assert summary.startswith("synthtf strip: 2 done, 1 failed in 0:")
    for name in ("mask", "brain"):
        names = {p.name for p in (tmp_path / name[0].replace("b", "o")).iterdir()}
        assert names == {f"{n}_{name}.{ending}" for n in "ab" for ending in ("nii.gz", "json")}
    assert json.loads((tmp_path / "o" / "a_brain.json").read_text())["SkullStripped"] is True


def test_a_bids_data_set_becomes_derivatives(folder, tmp_path, error_lines):
    raw, out = tmp_path / "raw", tmp_path / "out"
    (raw / "sub-1" / "anat").mkdir(parents=True)
    shutil.copy(folder / "scans/a.nii.gz", raw / "sub-1/anat/sub-1_T1w.nii.gz")
    (raw / "dataset_description.json").write_text('{"Name": "Study"}')
    words = ("-o", out, "-m", out, "-d", out, "--no-flip")
    assert run(folder, *words, scans=raw) == 0
    assert error_lines() == []
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    names = ("desc-brain_T1w", "space-orig_desc-brain_mask", "space-orig_desc-brain_sdt")
    assert files == {
        ".bidsignore",
        "README.md",
        "dataset_description.json",
        *(f"sub-1/anat/sub-1_{name}.{ending}" for name in names for ending in ("nii.gz", "json")),
    }
    facts = json.loads((out / "sub-1/anat/sub-1_space-orig_desc-brain_mask.json").read_text())
    assert (facts["Type"], facts["SpatialReference"]) == ("Brain", "orig")
    assert run(folder, *words, "--skip-existing", scans=raw) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "expected at least one output: -o, -m or -d"),
        (("-m", "m.nii.gz", "--model", "none"), "none is neither a folder nor a model"),
        (("-m", "x.nii.gz", "-o", "x.nii.gz"), "two outputs of"),
    ],
)
def test_wrong_usage_is_one_line(folder, words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(folder, *words) == 2
    text = capsys.readouterr().err
    assert message in text and text.count("\n") == 1


def test_a_border_beyond_what_is_known(folder, tmp_path, capsys):
    assert run(folder, "-m", tmp_path / "m.nii.gz", "-b", "12") == 1
    assert "within the 10 mm" in capsys.readouterr().err


def test_the_border_is_that_of_the_function():
    words = ["strip", "scan.nii.gz", "-m", "mask.nii.gz"]
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    assert parser.parse_args(words).border == BORDER
