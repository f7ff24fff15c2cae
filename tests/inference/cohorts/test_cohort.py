import json
import subprocess
import sys
import types
import warnings

import numpy as np
import pytest

from synthtf.data.bids import Derivative
from synthtf.data.volumes import Volume
from synthtf.inference.cohorts.cohort import Cohort, Output, Prediction
from synthtf.inference.cohorts.provenance import Provenance, write_sidecar


def kinds(target, second=None):
    return {
        "labels": Output(target, "_seg", Derivative("synthtf", "dseg")),
        "posteriors": Output(second, "_posteriors", Derivative("synthtf", "probseg")),
    }


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("a.nii.gz", "b.nii"):
        (folder / name).write_bytes(b"scan")
    return folder


@pytest.fixture
def provenance(tmp_path):
    (tmp_path / "model.keras").touch()
    return Provenance(types.SimpleNamespace(folder=tmp_path), "synthtf segment")


def predict(scan, error=None):
    warnings.warn(f"{scan.name} is dark", stacklevel=1)
    volume = Volume(np.ones((2, 2, 2), "uint8"), np.eye(4))
    return Prediction({"labels": volume, "posteriors": volume}, error)


def process(cohort, job, provenance, error=None):
    with pytest.warns(UserWarning, match="is dark"):
        cohort.process(job, lambda scan: predict(scan, error), provenance)


def test_planning_needs_no_keras():
    """Which is loaded later, silently and with the right settings."""
    code = "import sys, synthtf.inference.cohorts.cohort; print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_outputs_without_a_target_lie_beside_the_first(scans, tmp_path):
    first, second = Cohort.plan(scans, kinds(tmp_path / "out")).jobs
    assert first.scan == scans / "a.nii.gz"
    assert second.outputs == {
        "labels": tmp_path / "out" / "b_seg.nii",
        "posteriors": tmp_path / "out" / "b_seg_posteriors.nii",
    }


def test_outputs_of_a_data_set(tmp_path):
    scan = tmp_path / "raw" / "sub-1" / "anat" / "sub-1_T1w.nii"
    scan.parent.mkdir(parents=True)
    scan.touch()
    (tmp_path / "raw" / "dataset_description.json").write_text("{}")
    cohort = Cohort.plan(tmp_path / "raw", kinds(tmp_path / "out"))
    anat = tmp_path / "out" / "sub-1" / "anat"
    (job,) = cohort.jobs
    assert job.outputs == {
        "labels": anat / "sub-1_space-orig_desc-synthtf_dseg.nii.gz",
        "posteriors": anat / "sub-1_space-orig_desc-synthtf_probseg.nii.gz",
    }
    cohort.describe({0: "background"})
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "dataset_description.json",
        "dseg.tsv",
    }


def test_plain_folders_get_no_description(scans, tmp_path):
    Cohort.plan(scans, kinds(tmp_path / "out")).describe({0: "background"})
    assert not (tmp_path / "out").exists()


def test_two_outputs_of_one_name_are_refused(scans, tmp_path):
    output = tmp_path / "x.nii.gz"
    with pytest.raises(ValueError, match=r"two outputs of .*a\.nii\.gz would be written to one"):
        Cohort.plan(scans / "a.nii.gz", kinds(output, output))


def test_json_files_never_replace_those_of_other_volumes(scans):
    """For instance the one that dcm2niix wrote beside the scan."""
    plan = {"labels": kinds(scans / "a.mgz")["labels"]}
    with pytest.raises(ValueError, match=r"a\.json, would replace that of another volume"):
        Cohort.plan(scans / "a.nii.gz", plan)
    assert Cohort.plan(scans / "a.nii.gz", plan, sidecars=False).jobs
    (scans / "a.nii").touch()
    with pytest.raises(ValueError, match=r"a_seg\.json, would replace that of another volume"):
        Cohort.plan(scans, kinds(scans.parent / "out"))


def test_outputs_and_json_files_are_written(scans, tmp_path, provenance):
    cohort = Cohort.plan(scans, kinds(tmp_path / "out"))
    process(cohort, cohort.jobs[0], provenance)
    names = {"a_seg.nii.gz", "a_seg.json", "a_seg_posteriors.nii.gz", "a_seg_posteriors.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    facts = json.loads((tmp_path / "out" / "a_seg.json").read_text())
    assert facts["Warnings"] == ["a.nii.gz is dark"]
    assert facts["Input"] == str(scans / "a.nii.gz")
    assert "Error" not in facts and 0 < facts["Seconds"] < 60


def test_without_json_files(scans, tmp_path, provenance):
    cohort = Cohort.plan(scans, kinds(tmp_path / "out"), sidecars=False)
    process(cohort, cohort.jobs[0], provenance)
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".gz"}
    assert cohort.unfinished() == cohort.jobs[1:]


def test_a_job_is_finished_when_everything_exists(scans, tmp_path, provenance):
    cohort = Cohort.plan(scans, kinds(tmp_path / "out"))
    first, second = cohort.jobs
    assert cohort.unfinished() == [first, second]
    process(cohort, first, provenance)
    assert cohort.unfinished() == [second]
    assert cohort.unfinished(table=[first.scan]) == [second]
    assert cohort.unfinished(table=[]) == [first, second]
    (tmp_path / "out" / "a_seg.json").unlink()
    assert cohort.unfinished() == [first, second]
    write_sidecar(first.outputs["labels"], {"SynthtfVersion": "1"})
    first.outputs["posteriors"].unlink()
    assert cohort.unfinished() == [first, second]


def test_what_another_network_made_is_unfinished(scans, tmp_path, provenance):
    cohort = Cohort.plan(scans, kinds(tmp_path / "out"))
    first, second = cohort.jobs
    process(cohort, first, provenance)
    assert cohort.unfinished(model=provenance.run.folder) == [second]
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.keras").write_text("another")
    assert cohort.unfinished(model=other) == [first, second]


def test_an_output_of_no_use_is_written_and_stays_unfinished(scans, tmp_path, provenance):
    cohort = Cohort.plan(scans, kinds(tmp_path / "out"))
    with pytest.raises(ValueError, match="nothing was found"):
        process(cohort, cohort.jobs[0], provenance, error="nothing was found")
    assert cohort.jobs[0].outputs["labels"].is_file()
    facts = json.loads((tmp_path / "out" / "a_seg.json").read_text())
    assert facts["Error"] == "nothing was found"
    assert cohort.unfinished() == cohort.jobs
