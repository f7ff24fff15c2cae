"""`strip_cohort` from Python; the command line has more in tests/cli/test_strip.py."""

import json

import pytest
from stripping_runs import scan, write_run

from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_volume
from synthtf.inference import CohortOptions, strip, strip_cohort


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_run(folder / "run")
    volume = scan()[0]
    write_volume(folder / "a.nii.gz", volume.data, affine=volume.affine)
    return folder


def test_files_hold_what_the_function_returns(folder, tmp_path):
    mask = tmp_path / "m.nii.gz"
    outcome = strip_cohort(folder / "a.nii.gz", model=folder / "run", mask=mask, border=3.0)
    assert (outcome.done, outcome.failures) == (1, ())
    expected = strip(folder / "a.nii.gz", folder / "run", border=3.0).mask.data
    assert (read_volume(mask, labels=True).data == expected).all()
    facts = json.loads((tmp_path / "m.json").read_text())
    assert (facts["Command"], facts["Type"]) == ("synthtf.inference.strip_cohort", "Brain")
    options = CohortOptions(skip_existing=True)
    outcome = strip_cohort(folder / "a.nii.gz", model=folder / "run", mask=mask, options=options)
    assert (outcome.done, outcome.skipped) == (0, 1)
