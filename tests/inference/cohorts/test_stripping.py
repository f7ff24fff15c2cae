"""`strip_cohort` from Python; the command line has more in tests/cli/test_strip.py."""

import json

import pytest
from stripping_runs import scan, write_run

from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference import CohortOptions, strip, strip_cohort, stripping
from synthtf.inference.plausible import ImplausibleWarning


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


def test_a_mask_that_cannot_be_a_brain_is_written_and_fails(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(stripping, "doubt", lambda *_: "it has 4000 mL")
    mask = tmp_path / "m.nii.gz"
    outcome = strip_cohort(folder / "a.nii.gz", model=folder / "run", mask=mask)
    expected = "the mask cannot be a brain: it has 4000 mL"
    assert outcome.status == 1 and outcome.failures == ((str(folder / "a.nii.gz"), expected),)
    assert read_volume(mask, labels=True).data.any()
    assert json.loads((tmp_path / "m.json").read_text())["Error"] == expected
    with pytest.warns(ImplausibleWarning, match=f"a.nii.gz: {expected}"):
        assert strip(folder / "a.nii.gz", folder / "run").doubt == expected


def test_what_is_not_in_hounsfield_units_fails_alone(folder, tmp_path):
    volume = scan()[0]
    scans = tmp_path / "scans"
    scans.mkdir()
    for name, data in (("good", 80 * volume.data), ("shifted", 80 * volume.data + 1024)):
        write_volume(scans / f"{name}.nii.gz", data, affine=volume.affine)
    outcome = strip_cohort(scans, model=folder / "run", mask=tmp_path / "masks", ct=True)
    assert outcome.done == 1
    ((name, reason),) = outcome.failures
    assert name.endswith("shifted.nii.gz") and "1024 was not subtracted" in reason


def test_padding_gives_the_mask_of_the_plain_scan(folder):
    volume = scan()[0]
    plain = strip(volume, folder / "run").mask.data
    data = volume.data.copy()
    # Half of what is 0 already, so that the percentiles stay.
    data.ravel()[: data.size // 40] = -32768
    with pytest.warns(UserWarning, match="2.5% of its voxels, -32768, are padding"):
        found = strip(Volume(data, volume.affine), folder / "run")
    assert (found.mask.data == plain).mean() > 0.99
    assert found.image.data.min() == 0
