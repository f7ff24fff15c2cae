"""Tests of SynthSeg's tables, and of where its weights are."""

import csv
from pathlib import Path

import pytest

from synthtf.published.files import Files
from synthtf.published.synthseg.tables import Tables
from synthtf.published.synthseg.weights import Weights, find, own_model


def read(path):
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def test_one_table_for_all_or_one_each(tmp_path):
    def fill(files):
        table = Tables(files, "volumes", ["csf", "left, right"])
        for index, scan in enumerate(files.scans):
            table.add(index, scan, [str(index), "0.25"])

    one, each = tmp_path / "new" / "v.csv", [tmp_path / f"{i}.csv" for i in range(2)]
    paths = [Path("a.nii.gz"), Path("b.mgz")]
    fill(Files(paths, {}, {"volumes": [one]}))
    header = ["csf", "left, right"]
    assert read(one) == [["subject", *header], ["a", "0", "0.25"], ["b.mgz", "1", "0.25"]]
    assert one.read_bytes().count(b"\r\n") == 3
    fill(Files(paths, {}, {"volumes": each}, shared=False))
    assert read(each[1]) == [["", *header], ["b.mgz", "1", "0.25"]]


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.delenv("SYNTHTF_MODELS", raising=False)
    monkeypatch.setenv("FREESURFER_HOME", str(tmp_path))
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def test_weights_are_found_together(models, tmp_path):
    assert find("2.0") is None
    for name in ("synthseg_2.0.h5", "synthseg_parc_2.0.h5"):
        (models / name).touch()
    assert find("2.0") == Weights(models / "synthseg_2.0.h5")
    assert find("2.0", parcels=True).parcels == models / "synthseg_parc_2.0.h5"
    with pytest.raises(FileNotFoundError, match=r"--qc: .* missing: synthseg_qc_2\.0\.h5; they"):
        find("2.0", quality=True)
    with pytest.raises(FileNotFoundError, match=r"--v1, --parc: .* synthseg_1\.0\.h5; .*MODELS"):
        find("1.0", parcels=True)
    with pytest.raises(FileNotFoundError, match="--robust: "):
        find("robust 2.0")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("mine.h5", "synthseg_qc_2.0.h5"):
        (other / name).touch()
    found = find("1.0", True, True, other / "mine.h5")
    expected = other / "mine.h5", models / "synthseg_parc_2.0.h5", other / "synthseg_qc_2.0.h5"
    assert found == Weights(*expected)
    with pytest.raises(FileNotFoundError, match="none of the published weights"):
        find("2.0", model=other)


def test_models_of_this_package_are_told_apart(tmp_path):
    assert own_model(None) is None and own_model(tmp_path) is None
    (tmp_path / "run.json").touch()
    assert own_model(tmp_path) == tmp_path
    assert own_model("heads-2mm") == "heads-2mm"
