"""`register_cohort` from Python; the command line has more in tests/cli/test_register.py."""

import json
import shutil

import numpy as np
import pytest
from registration_runs import scan, write_run

from synthtf.data.transforms import Affine
from synthtf.data.volume_writer import write_volume
from synthtf.inference import CohortOptions, RegistrationOutputs, ScanPairs, register_cohort
from synthtf.interop.transform_files import read_transform


def shifted():
    matrix = np.eye(4)
    matrix[:3, 3] = (4, -6, 2)
    return Affine(matrix)


SCANS = ("moving", "fixed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, a scan and a moved one."""
    folder = tmp_path_factory.mktemp("data")
    write_run(folder / "affine", "affine")
    for name, volume in (("fixed", scan()), ("moving", scan(shifted()))):
        write_volume(folder / f"{name}.nii.gz", volume.data, affine=volume.affine)
    return folder


@pytest.fixture
def pairs(folder):
    return ScanPairs.of(folder / "moving.nii.gz", folder / "fixed.nii.gz")


def test_outputs_options_and_the_outcome(folder, pairs, tmp_path):
    outputs = RegistrationOutputs(transform=tmp_path / "t.lta", inverse=tmp_path / "i.nii.gz")
    outcome = register_cohort(pairs, outputs, folder / "affine", method="rigid", refine=False)
    assert (outcome.done, outcome.status, outcome.text) == (1, 0, "")
    points = np.random.default_rng(0).uniform(-30, 30, (20, 3))
    found = read_transform(tmp_path / "t.lta")(points)
    assert np.abs(found - shifted()(points)).max() < 1.5
    facts = json.loads((tmp_path / "t.lta.json").read_text())
    assert facts["Command"] == "synthtf.inference.register_cohort"
    assert facts["Description"] == "Transform that moves the moving scan to the fixed scan"
    assert (tmp_path / "i.json").is_file()


def test_both_scans_of_a_data_set_in_the_middle(folder, tmp_path):
    """They are on no grid of a scan, and their names say so."""
    anat = tmp_path / "raw/sub-1/anat"
    anat.mkdir(parents=True)
    for name, suffix in (("moving", "T1w"), ("fixed", "FLAIR")):
        shutil.copy(folder / f"{name}.nii.gz", anat / f"sub-1_{suffix}.nii.gz")
    (tmp_path / "raw/dataset_description.json").write_text("{}")
    out = tmp_path / "out"
    outputs = RegistrationOutputs(moved=out, inverse=out, mid_space=True)
    pairs = ScanPairs.of(tmp_path / "raw", fixed_suffix="FLAIR")
    assert register_cohort(pairs, outputs, folder / "affine", refine=False).done == 1
    names = "sub-1_space-FLAIRMid_desc-registered_T1w", "sub-1_space-T1wMid_desc-registered_FLAIR"
    texts = []
    for name in names:
        assert (out / f"sub-1/anat/{name}.nii.gz").is_file()
        facts = json.loads((out / f"sub-1/anat/{name}.json").read_text())
        assert "SpatialReference" not in facts
        texts.append(facts["Description"])
    assert texts == [f"The {s} scan, moved to the space between both scans" for s in SCANS]


def test_failures_are_returned(folder, tmp_path):
    (tmp_path / "bad.nii.gz").write_bytes(b"no scan")
    pairs = ScanPairs.of(tmp_path / "bad.nii.gz", folder / "fixed.nii.gz")
    outputs = RegistrationOutputs(transform=tmp_path / "t.lta")
    outcome = register_cohort(pairs, outputs, folder / "affine", options=CohortOptions(False))
    ((name, reason),) = outcome.failures
    assert name == str(tmp_path / "bad.nii.gz") and reason
    assert [path.name for path in tmp_path.iterdir()] == ["bad.nii.gz"]


@pytest.mark.parametrize(
    ("outputs", "options", "message"),
    [
        ({}, {}, "expected at least one output"),
        ({"moved": "x.nii.gz"}, {"steps": 21}, "at most 20. Received: 21"),
        ({"moved": "x.nii.gz"}, {"init": "gone.lta"}, "gone.lta does not exist"),
        ({"moved": "x.lta"}, {}, "x.lta: unknown ending"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_model_is_loaded(
    folder, pairs, tmp_path, monkeypatch, outputs, options, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("synthtf.runs.run.Run.load", lambda folder: pytest.fail("model loaded"))
    with pytest.raises(ValueError, match=message):
        register_cohort(pairs, RegistrationOutputs(**outputs), folder / "affine", **options)
