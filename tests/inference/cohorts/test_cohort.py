import dataclasses
import json
import subprocess
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

from synthtf.data.bids import Derivative
from synthtf.data.bids_pairs import PairDerivative
from synthtf.data.volumes import Volume
from synthtf.data.whole_files import write_whole
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Output, Prediction
from synthtf.inference.cohorts.pairing import ScanPairs
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
    return Provenance({"Model": types.SimpleNamespace(folder=tmp_path)}, "synthtf segment")


def predict(job, error=None):
    warnings.warn(f"{job.scan.name} is dark", stacklevel=1)
    volume = Volume(np.ones((2, 2, 2), "uint8"), np.eye(4))
    return Prediction({"labels": volume, "posteriors": volume}, error)


def process(cohort, job, provenance, error=None):
    with pytest.warns(UserWarning, match="is dark"):
        cohort.process(job, lambda job: predict(job, error), provenance)


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
        "README.md",
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
    write_sidecar(first.sidecars["labels"], {"SynthtfVersion": "1"})
    first.outputs["posteriors"].unlink()
    assert cohort.unfinished() == [first, second]


def test_what_another_network_made_is_unfinished(scans, tmp_path, provenance):
    cohort = Cohort.plan(scans, kinds(tmp_path / "out"))
    first, second = cohort.jobs
    process(cohort, first, provenance)
    assert cohort.unfinished(models={"Model": tmp_path}) == [second]
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.keras").write_text("another")
    assert cohort.unfinished(models={"Model": other}) == [first, second]


def test_an_output_of_no_use_is_written_and_stays_unfinished(scans, tmp_path, provenance):
    cohort = Cohort.plan(scans, kinds(tmp_path / "out"))
    with pytest.raises(ValueError, match="nothing was found"):
        process(cohort, cohort.jobs[0], provenance, error="nothing was found")
    assert cohort.jobs[0].outputs["labels"].is_file()
    facts = json.loads((tmp_path / "out" / "a_seg.json").read_text())
    assert facts["Error"] == "nothing was found"
    assert cohort.unfinished() == cohort.jobs


def run(cohort, models, skip_existing, seen, bad=()):
    def begin(runs):
        seen.append(runs["Model"].folder.name)

        def predict(job):
            seen.append(job.scan.name)
            if job.scan.name in bad:
                raise ValueError("cannot be read")
            volume = Volume(np.ones((2, 2, 2), "uint8"), np.eye(4))
            return Prediction({"labels": volume, "posteriors": volume})

        return predict, {}

    return cohort.run("test", models, begin, CohortOptions(skip_existing=skip_existing))


def test_only_what_is_unfinished_is_run_where_that_is_asked_for(
    scans, tmp_path, monkeypatch, capsys
):
    (tmp_path / "model.keras").touch()
    monkeypatch.setattr(
        "synthtf.runs.run.Run.load", lambda folder: types.SimpleNamespace(folder=folder)
    )
    cohort, models, seen = Cohort.plan(scans, kinds(tmp_path / "out")), {"Model": tmp_path}, []
    outcome = run(cohort, models, True, seen, bad=("b.nii",))
    assert (outcome.done, outcome.skipped) == (1, 0)
    assert outcome.failures == ((str(scans / "b.nii"), "cannot be read"),)
    assert run(cohort, models, True, seen).skipped == 1
    assert seen == [tmp_path.name, "a.nii.gz", "b.nii", tmp_path.name, "b.nii"]
    assert "1 done, 1 skipped, 0 failed" in capsys.readouterr().err
    seen.clear()
    assert run(cohort, models, True, seen).skipped == 2
    assert seen == []  # no model is loaded for nothing
    assert run(cohort, models, False, seen).done == 2
    facts = json.loads((tmp_path / "out" / "a_seg.json").read_text())
    assert facts["Command"] == "synthtf.inference.test_cohort"


PAIR = {
    "moved": Output("out", "_moved", PairDerivative(None), ".nii.gz"),
    "transform": Output("out", "_trans", PairDerivative("xfm", ".lta"), ".lta", (".lta", ".mat")),
    "figure": Output("out", "", PairDerivative("figure", ".png"), ".png", (".png",), sidecar=False),
}


def pairs(scans, **options):
    files = [(scans / "a.nii.gz", scans / "b.nii"), (scans / "b.nii", scans / "a.nii.gz")]
    return ScanPairs(files, ["a_to_b", "b_to_a"], **options)


def test_pairs_have_outputs_of_many_kinds(scans):
    (first, second) = Cohort.plan(pairs(scans), PAIR).jobs
    assert first.scans == {"Moving": scans / "a.nii.gz", "Fixed": scans / "b.nii"}
    assert second.outputs == {
        "moved": Path("out/b_to_a_moved.nii.gz"),
        "transform": Path("out/b_to_a_trans.lta"),
        "figure": Path("out/b_to_a.png"),
    }
    assert second.sidecars == {
        "moved": Path("out/b_to_a_moved.json"),
        "transform": Path("out/b_to_a_trans.lta.json"),
    }


def test_outputs_of_one_pair_are_files_of_a_known_ending(scans, tmp_path):
    pair = dataclasses.replace(pairs(scans), pairs=[(scans / "a.nii.gz", scans / "b.nii")])
    pair = dataclasses.replace(pair, names=["a_to_b"], single=True)
    kinds = {"transform": dataclasses.replace(PAIR["transform"], target=tmp_path / "x.mat")}
    assert Cohort.plan(pair, kinds).jobs[0].outputs == {"transform": tmp_path / "x.mat"}
    with pytest.raises(ValueError, match=r"x\.mat: expected a folder for 2 pairs"):
        Cohort.plan(pairs(scans), kinds)
    endings = "unknown ending; it must be one of .lta, .mat"
    for name, message in (("x.png", endings), ("", "a file")):
        kinds = {"transform": dataclasses.replace(PAIR["transform"], target=tmp_path / name)}
        with pytest.raises(ValueError, match=message):
            Cohort.plan(pair, kinds)


def test_files_that_are_read_besides_are_never_replaced(scans, tmp_path):
    kinds = {"moved": dataclasses.replace(PAIR["moved"], target=tmp_path)}
    Cohort.plan(pairs(scans), kinds)
    with pytest.raises(ValueError, match=r"b_to_a_moved\.nii\.gz is also an input"):
        Cohort.plan(pairs(scans), kinds, others=[tmp_path / "b_to_a_moved.nii.gz"])


def test_functions_write_what_is_no_volume(scans, tmp_path, provenance):
    kinds = {"transform": dataclasses.replace(PAIR["transform"], target=tmp_path / "t")}
    cohort = Cohort.plan(pairs(scans), kinds)
    found = Prediction(
        {"transform": lambda path: write_whole(path, b"matrix")}, facts={"transform": {"Of": "x"}}
    )
    cohort.process(cohort.jobs[0], lambda job: found, provenance)
    assert (tmp_path / "t" / "a_to_b_trans.lta").read_bytes() == b"matrix"
    facts = json.loads((tmp_path / "t" / "a_to_b_trans.lta.json").read_text())
    assert (facts["Of"], facts["Fixed"]) == ("x", str(scans / "b.nii"))
