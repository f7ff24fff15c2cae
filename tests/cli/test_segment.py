import csv
import hashlib
import importlib
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.tables import ScanTable
from synthtf.inference import segment


def expected(scan):
    return np.select([scan == 1, scan == 0.5], [16, 24], 0)


def read(path):
    return np.asarray(nibabel.load(path).dataobj)


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_file(model, save_scan, tmp_path, error_lines):
    scan = save_scan(tmp_path / "a scan ü.nii.gz", spacing=(1.0, 1.0, 1.0))
    output = tmp_path / "labels.nii.gz"
    status = main(
        [
            "segment",
            str(tmp_path / "a scan ü.nii.gz"),
            "-o",
            str(output),
            "--model",
            model.folder,
            "--vol",
            str(tmp_path / "volumes.csv"),
        ]
    )
    assert (status, error_lines()) == (0, [])
    np.testing.assert_array_equal(read(output), expected(scan))
    np.testing.assert_array_equal(
        nibabel.load(output).affine, nibabel.load(tmp_path / "a scan ü.nii.gz").affine
    )
    (row,) = rows_of(tmp_path / "volumes.csv")
    assert list(row) == ["scan", "brain stem", "fluid", "warnings"]
    assert row["warnings"] == ""
    assert float(row["fluid"]) == pytest.approx(20**3 - 10**3, rel=1e-3)
    assert float(row["brain stem"]) == pytest.approx(10**3, rel=1e-3)


def test_one_corrupt_file_among_others(model, save_scan, tmp_path, error_lines):
    scans = tmp_path / "scans"
    scan = save_scan(scans / "a.nii.gz")
    save_scan(scans / "b.nii.gz")
    save_scan(scans / "c.nii.gz")
    content = (scans / "b.nii.gz").read_bytes()
    (scans / "b.nii.gz").write_bytes(content[: len(content) // 2])
    table = tmp_path / "v.csv"
    status = main(
        [
            "segment",
            "-i",
            str(scans),
            "-o",
            str(tmp_path / "out"),
            "--model",
            model.folder,
            "--vol",
            str(table),
            "--no-flip",
        ]
    )
    assert status == 1
    line, summary = error_lines()
    assert line.startswith(f"synthtf segment: {scans / 'b.nii.gz'}: ")
    assert "truncated" in line
    assert summary.startswith("synthtf segment: 2 done, 1 failed in 0:")
    assert summary.endswith(f"; failed: {scans / 'b.nii.gz'}")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["a_seg.json", "a_seg.nii.gz", "c_seg.json", "c_seg.nii.gz"]
    np.testing.assert_array_equal(read(tmp_path / "out" / "c_seg.nii.gz"), expected(scan))
    assert [row["scan"] for row in rows_of(table)] == [
        str(scans / name) for name in ("a.nii.gz", "c.nii.gz")
    ]
    assert model.loads == 1


def test_a_list_with_a_missing_file(model, save_scan, tmp_path, capsys):
    save_scan(tmp_path / "a.nii.gz")
    (tmp_path / "in.txt").write_text(f"{tmp_path / 'gone.nii.gz'}\n{tmp_path / 'a.nii.gz'}\n")
    (tmp_path / "out.txt").write_text(f"{tmp_path / 'x.nii.gz'}\n{tmp_path / 'y.mgz'}\n")
    status = main(
        [
            "segment",
            str(tmp_path / "in.txt"),
            "-o",
            str(tmp_path / "out.txt"),
            "--model",
            model.folder,
        ]
    )
    assert status == 1
    assert f"synthtf segment: {tmp_path / 'gone.nii.gz'}: " in capsys.readouterr().err
    assert not (tmp_path / "x.nii.gz").exists()
    assert set(np.unique(read(tmp_path / "y.mgz"))) == {0, 16, 24}


def test_an_empty_result_is_written_and_named_as_a_failure(model, save_scan, tmp_path, error_lines):
    save_scan(tmp_path / "scan.nii.gz")
    constant = np.full((16, 16, 16), 3.0, np.float32)
    nibabel.save(nibabel.Nifti1Image(constant, np.eye(4)), tmp_path / "constant.nii.gz")
    status = main(
        [
            "segment",
            str(tmp_path / "constant.nii.gz"),
            "-o",
            str(tmp_path / "o.nii.gz"),
            "--model",
            model.folder,
        ]
    )
    assert status == 1
    lines = error_lines()
    assert all(line.startswith("warning: ") and "constant" in line for line in lines[:-1])
    assert lines[:-1]
    assert "constant.nii.gz: nothing was found" in lines[-1]
    assert not read(tmp_path / "o.nii.gz").any()


def test_posteriors_and_conformed(model, save_scan, tmp_path):
    save_scan(tmp_path / "scan.nii.gz", spacing=(2.0, 1.0, 1.0))
    status = main(
        [
            "segment",
            str(tmp_path / "scan.nii.gz"),
            "-o",
            str(tmp_path / "o.nii.gz"),
            "--model",
            model.folder,
            "--conformed",
            "--posteriors",
        ]
    )
    assert status == 0
    labels = nibabel.load(tmp_path / "o.nii.gz")
    posteriors = nibabel.load(tmp_path / "o_posteriors.nii.gz")
    assert nibabel.aff2axcodes(labels.affine) == ("R", "A", "S")
    assert labels.shape == (64, 32, 32)
    assert posteriors.shape == (64, 32, 32, 3)
    np.testing.assert_array_equal(posteriors.affine, labels.affine)
    np.testing.assert_allclose(posteriors.get_fdata().sum(-1), 1, atol=1e-4)


@pytest.mark.parametrize(
    "words, message",
    [
        (["absent.nii.gz", "-o", "o.nii.gz"], "absent.nii.gz does not exist"),
        (["folder", "-o", "o.nii.gz"], "is a file, but the input is the folder"),
        (["scan.nii.gz", "-o", "folder"], "is a folder, but the input is the file"),
        (["scan.nii.gz", "-o", "scan.nii.gz"], "is also an input"),
        (["empty", "-o", "out"], "holds no volume"),
        (["-o", "o.nii.gz"], "expected one input"),
        (["scan.nii.gz", "-o", "o.nii.gz", "--vol", "folder"], "--vol must be a file"),
        (["scan.nii.gz", "-o", "o.nii.gz", "--model", "gone"], "gone is neither a folder"),
        (["scan.nii.gz", "-o", "scan.mgz"], "would replace that of another volume"),
        (["bids", "-o", "o.nii.gz"], "is a file, but the input is the BIDS data set"),
        (["bids", "-o", "bids"], "is also the input"),
        (["scan.nii.gz", "-o", "o.nii.gz", "--vol", "other.csv"], "no table of scans"),
    ],
)
def test_wrong_usage_is_refused_before_a_model_is_loaded(
    model, save_scan, tmp_path, monkeypatch, capsys, words, message
):
    save_scan(tmp_path / "scan.nii.gz")
    save_scan(tmp_path / "folder" / "scan.nii.gz")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.csv").write_text("name\n")
    save_scan(tmp_path / "bids/sub-1/anat/sub-1_T1w.nii.gz")
    (tmp_path / "bids" / "dataset_description.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert main(["segment", "--model", model.folder, *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("synthtf segment: ")
    assert message in error
    assert error.count("\n") == 1
    assert model.loads == 0


def test_volumes_so_far_are_kept_when_interrupted(
    model, save_scan, tmp_path, monkeypatch, capsys, error_lines
):
    for name in ("a", "b", "c"):
        save_scan(tmp_path / "scans" / f"{name}.nii.gz")

    def interrupted(scan, *arguments, **options):
        if scan.name == "b.nii.gz":
            raise KeyboardInterrupt
        return segment(scan, *arguments, **options)

    # The package has a function of the module's name, so that a dotted path would not do.
    module = importlib.import_module("synthtf.inference.cohorts.segmenting")
    monkeypatch.setattr(module, "segment", interrupted)
    status = main(
        [
            "segment",
            str(tmp_path / "scans"),
            "-o",
            str(tmp_path / "out"),
            "--model",
            model.folder,
            "--vol",
            str(tmp_path / "v.csv"),
        ]
    )
    assert status == 130
    lines = error_lines()
    assert lines[0].startswith("synthtf segment: 1 done, 0 failed, 2 left in 0:")
    assert lines[1:] == ["synthtf segment: interrupted"]
    assert [row["scan"][-8:] for row in rows_of(tmp_path / "v.csv")] == ["a.nii.gz"]

    monkeypatch.setattr(module, "segment", segment)
    first = (tmp_path / "out" / "a_seg.nii.gz").stat().st_mtime_ns
    words = ["segment", str(tmp_path / "scans"), "-o", str(tmp_path / "out")]
    words += ["--model", model.folder, "--vol", str(tmp_path / "v.csv"), "--skip-existing"]
    assert main(words) == 0
    assert "2 done, 1 skipped, 0 failed" in capsys.readouterr().err
    assert (tmp_path / "out" / "a_seg.nii.gz").stat().st_mtime_ns == first
    rows = rows_of(tmp_path / "v.csv")
    assert [row["scan"][-8:] for row in rows] == ["a.nii.gz", "b.nii.gz", "c.nii.gz"]
    assert all(float(row["fluid"]) > 0 for row in rows)

    loads = model.loads
    assert main(words) == 0
    assert "0 done, 3 skipped, 0 failed" in capsys.readouterr().err
    assert model.loads == loads


def test_a_name_that_is_not_utf8_stops_no_other(model, save_scan, tmp_path, capsys):
    odd = os.fsdecode(b"a_M\xfcller")
    save_scan(tmp_path / "scans" / f"{odd}.nii.gz")
    save_scan(tmp_path / "scans" / "b.nii.gz")
    words = ["segment", str(tmp_path / "scans"), "-o", str(tmp_path / "out")]
    words += ["--model", model.folder, "--vol", str(tmp_path / "v.csv")]
    assert main(words) == 0
    assert "2 done, 0 failed" in capsys.readouterr().err
    assert read(tmp_path / "out" / f"{odd}_seg.nii.gz").any()
    assert json.loads((tmp_path / "out" / f"{odd}_seg.json").read_text())["Warnings"] == []
    with (tmp_path / "v.csv").open(encoding="utf-8", errors="surrogateescape") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["scan"] for row in rows] == [
        str(tmp_path / "scans" / f"{name}.nii.gz") for name in (odd, "b")
    ]
    assert main([*words, "--skip-existing"]) == 0
    assert "0 done, 2 skipped" in capsys.readouterr().err


def test_a_row_that_cannot_be_written_leaves_the_segmentation(
    model, save_scan, tmp_path, monkeypatch, capsys
):
    for name in ("a", "b"):
        save_scan(tmp_path / "scans" / f"{name}.nii.gz")
    add = ScanTable.add

    def full(table, scan, row):
        if scan.name == "a.nii.gz":
            raise OSError(28, "No space left on device", "v.csv")
        add(table, scan, row)

    monkeypatch.setattr(ScanTable, "add", full)
    words = ["segment", str(tmp_path / "scans"), "-o", str(tmp_path / "out")]
    words += ["--model", model.folder, "--vol", str(tmp_path / "v.csv")]
    assert main(words) == 1
    assert "a.nii.gz: No space left on device: v.csv" in capsys.readouterr().err
    assert (tmp_path / "out" / "a_seg.nii.gz").exists()
    assert [row["scan"][-8:] for row in rows_of(tmp_path / "v.csv")] == ["b.nii.gz"]
    monkeypatch.setattr(ScanTable, "add", add)
    assert main([*words, "--skip-existing"]) == 0
    assert "1 done, 1 skipped" in capsys.readouterr().err
    assert [row["scan"][-8:] for row in rows_of(tmp_path / "v.csv")] == ["b.nii.gz", "a.nii.gz"]


def test_the_json_file_says_where_the_result_comes_from(model, save_scan, tmp_path, error_lines):
    scan = save_scan(tmp_path / "scan.nii.gz")
    image = nibabel.Nifti1Image(scan[..., None], np.eye(4))
    nibabel.save(image, tmp_path / "frame.nii.gz")
    words = ["segment", str(tmp_path / "frame.nii.gz"), "-o", str(tmp_path / "o.nii.gz")]
    words += ["--model", model.folder]
    assert main(words) == 0
    (line,) = error_lines()
    facts = json.loads((tmp_path / "o.json").read_text())
    assert [f"warning: {text}" for text in facts["Warnings"]] == [line]
    assert shlex.split(facts["Command"]) == ["synthtf", *words]
    network = (Path(model.folder) / "model.keras").read_bytes()
    assert facts["ModelSHA256"] == hashlib.sha256(network).hexdigest()
    scan = (tmp_path / "frame.nii.gz").read_bytes()
    assert facts["InputSHA256"] == hashlib.sha256(scan).hexdigest()
    (tmp_path / "o.json").unlink()
    assert main([*words, "--no-sidecar"]) == 0
    assert not (tmp_path / "o.json").exists()


def test_a_bids_data_set_becomes_derivatives(model, save_scan, tmp_path, capsys):
    raw, out = tmp_path / "raw", tmp_path / "raw" / "derivatives" / "synthtf"
    scan = save_scan(raw / "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz")
    save_scan(raw / "sub-01/ses-1/anat/sub-01_ses-1_T2w.nii")
    save_scan(raw / "sub-01/ses-1/anat/sub-01_ses-1_desc-lesion_mask.nii.gz")
    (raw / "sub-02" / "anat").mkdir(parents=True)
    (raw / "sub-02/anat/sub-02_FLAIR.nii.gz").write_bytes(b"no scan")
    (raw / "dataset_description.json").write_text('{"Name": "Study", "BIDSVersion": "1.8.0"}')
    words = ["segment", str(raw), "-o", str(out), "--model", model.folder, "--posteriors"]
    assert main([*words, "--no-flip"]) == 1
    assert "2 done, 1 failed" in capsys.readouterr().err
    name = "sub-01/ses-1/anat/sub-01_ses-1_space-orig_desc-synthtf"
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {
        "README.md",
        "dataset_description.json",
        "dseg.tsv",
        *(
            f"{name}{contrast}_{kind}.{ending}"
            for contrast in ("", "T2w")
            for kind in ("dseg", "probseg")
            for ending in ("nii.gz", "json")
        ),
    }
    np.testing.assert_array_equal(read(out / f"{name}_dseg.nii.gz"), expected(scan))
    table = (out / "dseg.tsv").read_text().splitlines()
    assert table == ["index\tname", "0\tbackground", "16\tbrain stem", "24\tfluid"]
    facts = json.loads((out / f"{name}_probseg.json").read_text())
    assert facts["LabelMap"] == ["background", "brain stem", "fluid"]
    assert facts["Sources"] == ["bids:raw:sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"]
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetLinks"] == {"raw": "../.."}
    assert main([*words, "--skip-existing"]) == 1
    assert "0 done, 2 skipped, 1 failed" in capsys.readouterr().err


def test_memory_is_announced_once_and_bounded(model, save_scan, tmp_path, capsys):
    for name in "ab":
        save_scan(tmp_path / "scans" / f"{name}.nii.gz")
    words = ["segment", str(tmp_path / "scans"), "-o", str(tmp_path / "out")]
    words += ["--model", model.folder]
    assert main(words) == 0
    (line,) = (x for x in capsys.readouterr().err.splitlines() if "memory" in x)
    assert re.fullmatch(r"synthtf segment: about \d\.\d GB of memory for 32 x 32 x 32 voxels", line)
    assert main([*words, "--max-memory", "0.01"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert sum("0.01 GB are too little for a scan of this size" in x for x in lines) == 2
    # The network has one level only, whose result patches do not change.
    assert main([*words, "--patch", "64x64x64", "--min-size", "10"]) == 0
    assert "in patches of 64 x 64 x 64" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--patch 8x8", "one or three sizes of at least 1 voxel. Received: (8, 8)"),
        ("--max-memory 0", "more than 0 GB. Received: 0.0"),
        ("--min-size -1", "at least 0 mm³, received -1.0"),
    ],
)
def test_limits_that_cannot_be_meant(model, save_scan, tmp_path, capsys, option, message):
    save_scan(tmp_path / "a.nii.gz")
    words = ["segment", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "o.nii.gz")]
    assert main([*words, "--model", model.folder, *option.split()]) == 2
    assert message in capsys.readouterr().err
    assert model.loads == 0


def test_uncertainty_and_lesions(model, save_scan, tmp_path, error_lines):
    """Files beside OUT, or where the user wants them, and columns of the table."""
    save_scan(tmp_path / "in" / "a.nii.gz")
    words = ["segment", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model"]
    words += [lesion_run(tmp_path, model.folder), "--vol", str(tmp_path / "v.csv"), "--uncertainty"]
    assert main([*words, "--lesions", str(tmp_path / "lesions")]) == 0
    assert error_lines() == []
    uncertainty = nibabel.load(tmp_path / "out" / "a_seg_uncertainty.nii.gz")
    assert uncertainty.shape == (32, 32, 32, 2)
    facts = json.loads((tmp_path / "out" / "a_seg_uncertainty.json").read_text())
    assert [frame.split()[0] for frame in facts["Frames"]] == ["entropy", "variance"]
    lesions = read(tmp_path / "lesions" / "a_lesions.nii.gz")
    labels = read(tmp_path / "out" / "a_seg.nii.gz")
    np.testing.assert_array_equal(lesions > 0.5, labels == 16)
    assert json.loads((tmp_path / "lesions" / "a_lesions.json").read_text())["Description"]
    (row,) = rows_of(tmp_path / "v.csv")
    names = [f"{name}{end}" for name in ("lesion", "fluid") for end in ("", "_low", "_high")]
    assert list(row) == ["scan", *names, "total intracranial", "number of lesions", "warnings"]
    assert row["number of lesions"] == "1"
    assert float(row["lesion_low"]) <= float(row["lesion"]) <= float(row["lesion_high"])
    total = float(row["lesion"]) + float(row["fluid"])
    assert float(row["total intracranial"]) == pytest.approx(total, abs=0.01)


def test_what_deserves_a_look_is_in_the_table_and_said_once(
    model, save_scan, tmp_path, error_lines, monkeypatch
):
    save_scan(tmp_path / "a.nii.gz")
    segmenting = importlib.import_module("synthtf.inference.segmenting")
    monkeypatch.setattr(segmenting, "sees_heads", lambda run: True)
    monkeypatch.setattr(segmenting, "doubtful_parts", lambda *_: ["uncertain"])
    monkeypatch.setattr(segmenting, "unlike_training", lambda *_: ["fluid is missing"])
    words = ["segment", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "o.nii.gz"), "--model"]
    assert main([*words, model.folder, "--vol", str(tmp_path / "v.csv")]) == 0
    (line,) = error_lines()
    assert "a.nii.gz: uncertain; fluid is missing" in line
    (row,) = rows_of(tmp_path / "v.csv")
    assert row["warnings"] == "uncertain; fluid is missing"
    facts = json.loads((tmp_path / "o.json").read_text())
    assert ["uncertain; fluid is missing" in text for text in facts["Warnings"]] == [True]


def lesion_run(tmp_path, folder):
    """That run, which now calls its labels lesion and CSF."""
    copy = shutil.copytree(folder, tmp_path / "lesion run")
    header = "id\tname\ttissue\tbrain\n"
    rows = "0\tbackground\tbackground\tno\n16\tlesion\tlesion\tyes\n24\tfluid\tCSF\tcsf\n"
    (copy / "labels.tsv").write_text(header + rows)
    (copy / "SHA256SUMS").unlink()
    return str(copy)


def test_one_prediction_has_no_variance(model, save_scan, tmp_path):
    save_scan(tmp_path / "a.nii.gz")
    words = ["segment", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "o.nii.gz"), "--model"]
    assert main([*words, model.folder, "--uncertainty", "--no-flip", "--no-sidecar"]) == 0
    assert nibabel.load(tmp_path / "o_uncertainty.nii.gz").shape == (32, 32, 32)


def test_an_ensemble(model, save_scan, tmp_path):
    """Posteriors are averaged; the sidecar names each network."""
    scan = save_scan(tmp_path / "a.nii.gz", spacing=(1.0, 1.0, 1.0))
    copy = str(shutil.copytree(model.folder, tmp_path / "copy"))
    words = ["segment", "--model", model.folder, "--model", copy, str(tmp_path / "a.nii.gz")]
    words += ["-o", str(tmp_path / "o.nii.gz"), "--uncertainty", "--no-flip"]
    assert main(words) == 0
    np.testing.assert_array_equal(read(tmp_path / "o.nii.gz"), expected(scan))
    assert nibabel.load(tmp_path / "o_uncertainty.nii.gz").shape == (*scan.shape, 2)
    facts = json.loads((tmp_path / "o.json").read_text())
    assert facts["Model2"] == "copy" and len(facts["Model2SHA256"]) == 64


def test_refuses_lesions_of_a_network_without(model, save_scan, tmp_path, capsys):
    save_scan(tmp_path / "a.nii.gz")
    words = ["segment", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "o.nii.gz"), "--model"]
    assert main([*words, model.folder, "--lesions", str(tmp_path / "l.nii.gz")]) != 0
    assert "has no label for lesions" in capsys.readouterr().err
    assert not (tmp_path / "o.nii.gz").exists()


def test_uncertainty_and_lesions_of_a_bids_data_set(model, save_scan, tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "out"
    save_scan(raw / "sub-1/anat/sub-1_FLAIR.nii.gz")
    (raw / "dataset_description.json").write_text('{"Name": "Study"}')
    words = ["segment", str(raw), "-o", str(out), "--uncertainty", "--lesions", str(out)]
    assert main([*words, "--model", lesion_run(tmp_path, model.folder)]) == 0
    files = {path.name for path in (out / "sub-1" / "anat").iterdir()}
    names = ("synthtfFLAIR_dseg", "synthtfFLAIR_uncertainty", "lesionsFLAIR_probseg")
    endings = ("nii.gz", "json")
    assert files == {f"sub-1_space-orig_desc-{n}.{e}" for n in names for e in endings}
    assert (out / ".bidsignore").read_text() == "*_uncertainty.*\n"
