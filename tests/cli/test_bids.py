"""`synthtf bids`, and what the BIDS validator says of all that is derived from a data set."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import registration_runs
import stripping_runs

from synthtf.cli.main import main
from synthtf.data.bids import Derivative
from synthtf.data.bids_description import describe_derivatives, write_look_up_table
from synthtf.data.bids_pairs import PairDerivative
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_volume
from synthtf.inference.cohorts import registering, segmenting, stripping
from synthtf.inference.segmenting import Segmentation

SCANS = ("sub-01/ses-1/anat/sub-01_ses-1_T1w", "sub-01/ses-1/anat/sub-01_ses-1_T2w")
SCANS += ("sub-02/ses-1/anat/sub-02_ses-1_T1w",)
AUTHORS = ["A. Person", "B. Person"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs that need no training."""
    folder = tmp_path_factory.mktemp("runs")
    stripping_runs.write_run(folder / "stripping")
    registration_runs.write_run(folder / "affine", "affine")
    return folder


def segment(scan, run, **options):
    """The bright half, as the tissue 16."""
    volume = read_volume(scan)
    labels = 16 * (volume.data > 0.5).astype("int32")
    size = float(np.count_nonzero(labels) * np.prod(volume.spacing))
    return Segmentation(dataclasses.replace(volume, data=labels), None, {16: size, 24: 0.0})


@pytest.fixture
def study(folder, contrast_run, tmp_path, monkeypatch):
    """A data set, with runs in the place of the shipped ones."""
    runs = {"segmentation": contrast_run, "stripping": folder / "stripping"}
    for module in (segmenting, stripping):
        monkeypatch.setattr(module, "model_folder", lambda model, task: Path(runs[task]))
    monkeypatch.setattr(segmenting, "segment", segment)
    monkeypatch.setattr(registering, "_models", lambda *_: {"Model": folder / "affine"})
    volume = stripping_runs.scan()[0]
    for name in SCANS:
        path = tmp_path / "raw" / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, volume.data, affine=volume.affine)
    facts = {"Name": "Study", "BIDSVersion": "1.10.0", "Authors": AUTHORS}
    (tmp_path / "raw" / "dataset_description.json").write_text(json.dumps(facts))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path):
    header, *rows = (line.split("\t") for line in Path(path).read_text().splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


def problems(folder):
    """What the BIDS validator finds; skips if there is none."""
    beside = Path(sys.executable).with_name("bids-validator-deno")
    command = beside if beside.exists() else shutil.which("bids-validator-deno")
    if not command:
        pytest.skip("no BIDS validator: pip install bids-validator-deno")
    words = [str(command), str(folder), "--format", "json"]
    offline = {**os.environ, "DENO_NO_UPDATE_CHECK": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=offline)
    issues = json.loads(done.stdout)["issues"]["issues"]
    return {(issue["code"], issue.get("subCode"), issue["location"]) for issue in issues}


# A JSON file of the table of names would be one of all segmentations as well.
ACCEPTED = {
    ("SIDECAR_KEY_RECOMMENDED", key, "/dseg.tsv") for key in ("Description", "SpatialReference")
}


def test_participants_then_the_group(study, capsys):
    words = ["bids", "raw", "out", "participant", "--no-flip", "--skip-bids-validation"]
    words += ["--participant_label", "01", "sub-02", "--task", "segment", "strip"]
    assert main(words) == 0
    assert main([*words, "--skip-existing"]) == 0
    assert "segment: 0 done, 3 skipped" in capsys.readouterr().err
    assert main(["bids", "raw", "out", "participant", "--task", "register"]) == 0
    capsys.readouterr()
    assert main(["bids", "raw", "out", "group"]) == 0
    tables = "out/group_segment.tsv", "out/group_strip.tsv"
    assert capsys.readouterr().out.split() == list(tables)
    segmented, stripped = map(table, tables)
    for rows in segmented, stripped:
        assert [row["participant_id"] for row in rows] == ["sub-01", "sub-01", "sub-02"]
        assert {row["scan"] for row in rows} == {f"{name}.nii.gz" for name in SCANS}
        assert all(row["session_id"] == "ses-1" and row["error"] == "n/a" for row in rows)
    labels = f"out/{SCANS[2].removesuffix('T1w')}space-orig_desc-synthtf_dseg.json"
    volumes = json.loads(Path(labels).read_text())["Volumes"]
    assert float(segmented[2]["brain_stem"]) == volumes["brain stem"] > 0
    ball = 4 / 3 * np.pi * (stripping_runs.RADIUS + 1.5) ** 3
    assert float(stripped[0]["brain"]) == pytest.approx(ball, rel=0.1)
    facts = json.loads(Path("out/group_segment.json").read_text())
    assert list(facts) == list(segmented[0])
    assert facts["brain_stem"]["Units"] == "mm^3"
    assert main(["bids", "raw", "out", "group", "--task", "register"]) == 0
    assert "register for 1 participants, for instance sub-02" in capsys.readouterr().err
    (pair,) = table("out/group_register.tsv")
    assert (pair["scan"], pair["fixed"]) == (f"{SCANS[1]}.nii.gz", f"{SCANS[0]}.nii.gz")
    assert problems("out") <= ACCEPTED


def test_participants_and_sessions_are_chosen(study):
    words = ["bids", "raw", "out", "participant", "--task", "segment", "strip"]
    assert main([*words, "--participant-label", "02", "--session-label", "1"]) == 0
    assert [path.name for path in Path("out").glob("sub-*")] == ["sub-02"]


def test_a_scan_of_no_use_is_in_the_table_without_volumes(study):
    labels = study / "out/sub-02/ses-1/anat/sub-02_ses-1_space-orig_desc-synthtf_dseg.json"
    labels.parent.mkdir(parents=True)
    facts = {"SynthtfVersion": "1", "Error": "no brain", "Volumes": {"fluid": 3}, "Warnings": ["x"]}
    labels.write_text(json.dumps(facts))
    other = study / "out/sub-01/ses-1/anat/sub-01_ses-1_space-orig_desc-synthtf_dseg.json"
    other.parent.mkdir(parents=True)
    other.write_text('{"SynthtfVersion": "1", "Volumes": {"fluid": 3}, "NumberOfLesions": 2}')
    labels.with_name("sub-02_ses-1_desc-other_dseg.json").write_text('{"Volumes": {"fluid": 9}}')
    assert main(["bids", "raw", "out", "group", "--task", "segment"]) == 0
    first, second = table("out/group_segment.tsv")
    assert (first["fluid"], first["number_of_lesions"], first["error"]) == ("3", "2", "n/a")
    assert (second["fluid"], second["error"], second["warnings"]) == ("n/a", "no brain", "1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing", "out", "participant"], "nothing must be a BIDS data set"),
        (["raw", "raw", "participant"], "is also the input"),
        (["raw", "raw", "group"], "is also the input"),
        (["raw", "out", "participant", "--participant-label", "03"], "Received: 03"),
        (["raw", "out", "participant", "--session-label", "2"], "Received: 2"),
        (
            ["raw", "out", "participant", "--task", "register", "--participant-label", "02"],
            "no subject has a moving scan",
        ),
        (["raw", "out", "group"], "run the participant level first"),
    ],
)
def test_wrong_usage(study, capsys, words, message):
    assert main(["bids", *words]) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize("words", [["raw", "out", "session"], ["raw", "out"]])
def test_levels_are_those_of_bids_apps(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bids", *words])
    assert stop.value.code == 2


def test_names_of_all_kinds_are_known_to_bids_or_ignored(study):
    """Those of every command that writes derivatives, and their pictures."""
    kinds = [Derivative("x", s) for s in ("dseg", "probseg", "mask", "sdt", "uncertainty", "field")]
    kinds.append(Derivative("brain"))
    pairs = [PairDerivative(None), PairDerivative("xfm"), PairDerivative("xfm", ".lta")]
    pairs.append(PairDerivative("figure", ".png"))
    describe_derivatives("out", "raw", "1", [*kinds, *pairs])
    write_look_up_table("out", {0: "background"})
    first, second = (Path("raw", f"{name}.nii.gz") for name in SCANS[:2])
    for path in (
        *(k.path("out", "raw", first) for k in kinds),
        *(p.path("out", "raw", second, first) for p in pairs),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(first, path)
    names = {location for code, _, location in problems("out") if code == "NOT_INCLUDED"}
    assert not names
