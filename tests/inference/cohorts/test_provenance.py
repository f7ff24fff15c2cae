import hashlib
import json
import types
import warnings
from datetime import datetime
from pathlib import Path

import pytest

from synthtf.data.paths import sidecar_path
from synthtf.inference.cohorts.provenance import (
    Provenance,
    file_digest,
    noted_warnings,
    succeeded,
    write_sidecar,
)
from synthtf.version import __version__


@pytest.fixture
def provenance(tmp_path):
    run = tmp_path / "net"
    run.mkdir()
    (run / "model.keras").write_bytes(b"weights")
    kinds = {"mask": {"Type": "Brain"}}
    return Provenance({"Model": types.SimpleNamespace(folder=run)}, "synthtf strip x", kinds)


def test_digest_is_that_of_the_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 10**6)
    assert file_digest(tmp_path / "x") == hashlib.sha256(b"abc" * 10**6).hexdigest()


def test_facts_name_scan_model_and_command(provenance, tmp_path, monkeypatch):
    (tmp_path / "scan.nii").write_bytes(b"voxels")
    monkeypatch.chdir(tmp_path)
    facts = provenance.facts("mask", {"Input": Path("scan.nii")}, 1.23456, ["dark"])
    date = datetime.strptime(facts.pop("Date"), "%Y-%m-%dT%H:%M:%SZ")
    assert abs((datetime.utcnow() - date).total_seconds()) < 60
    assert facts == {
        "Type": "Brain",
        "SynthtfVersion": __version__,
        "Model": "net",
        "ModelFolder": str((tmp_path / "net").resolve()),
        "ModelSHA256": hashlib.sha256(b"weights").hexdigest(),
        "Input": str(tmp_path / "scan.nii"),
        "InputSHA256": hashlib.sha256(b"voxels").hexdigest(),
        "Command": "synthtf strip x",
        "Seconds": 1.235,
        "Warnings": ["dark"],
    }


def test_scans_of_a_data_set_are_sources(provenance, tmp_path):
    scan = tmp_path / "sub-1" / "anat" / "sub-1_T1w.nii"
    scan.parent.mkdir(parents=True)
    scan.touch()
    provenance = Provenance(provenance.runs, "", root=tmp_path)
    facts = provenance.facts("mask", {"Input": scan}, 0.0, [])
    assert facts["Sources"] == ["bids:raw:sub-1/anat/sub-1_T1w.nii"]


def test_two_scans_and_two_networks_are_named(provenance, tmp_path):
    for name in ("a.nii", "b.nii"):
        (tmp_path / name).write_bytes(name.encode())
    model = provenance.runs["Model"]
    provenance = Provenance({"Model": model, "AffineModel": model}, "", root=tmp_path / "raw")
    scans = {"Moving": tmp_path / "a.nii", "Fixed": tmp_path / "b.nii"}
    facts = provenance.facts("moved", scans, 0.0, [])
    assert facts["Fixed"] == str(tmp_path / "b.nii")
    assert facts["MovingSHA256"] == hashlib.sha256(b"a.nii").hexdigest()
    assert facts["AffineModelSHA256"] == facts["ModelSHA256"]
    assert facts["Sources"] == [scan.as_uri() for scan in scans.values()]
    assert "SpatialReference" not in facts


def test_only_a_file_of_a_success_counts(tmp_path):
    sidecar = sidecar_path(tmp_path / "new" / "x_seg.nii.gz")
    assert sidecar == tmp_path / "new" / "x_seg.json"
    assert not succeeded(sidecar)
    write_sidecar(sidecar, {"SynthtfVersion": "1"})
    assert json.loads(sidecar.read_text()) == {"SynthtfVersion": "1"}
    assert succeeded(sidecar)
    assert not succeeded(sidecar, {"Model": "0a"})
    write_sidecar(sidecar, {"SynthtfVersion": "1", "ModelSHA256": "0a"})
    assert succeeded(sidecar, {"Model": "0a"}) and not succeeded(sidecar, {"Model": "0b"})
    assert not succeeded(sidecar, {"Model": "0a", "AffineModel": "0c"})
    write_sidecar(sidecar, {"SynthtfVersion": "1", "ModelSHA256": "0a", "AffineModelSHA256": "0c"})
    assert succeeded(sidecar, {"Model": "0a", "AffineModel": "0c"})
    assert not succeeded(sidecar, {"Model": "0a"})
    write_sidecar(sidecar, {"SynthtfVersion": "1", "Context": ["x"]})
    assert succeeded(sidecar, None, {"Context": ["x"]})
    assert not succeeded(sidecar, None, {"Context": ["y"]})
    for facts in ({"SynthtfVersion": "1", "Error": "empty"}, {"EchoTime": 1}, []):
        write_sidecar(sidecar, facts)
        assert not succeeded(sidecar)
    sidecar.write_text('{"SynthtfVersion"')
    assert not succeeded(sidecar)


def test_warnings_to_users_are_noted_and_shown():
    shown = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: shown.append(str(message))
        show = warnings.showwarning
        with noted_warnings() as noted:
            warnings.warn("two\nlines", stacklevel=1)
            warnings.warn("for developers", DeprecationWarning, stacklevel=1)
        assert warnings.showwarning is show
        warnings.warn("later", stacklevel=1)
    assert noted == ["two lines"]
    assert shown == ["two\nlines", "for developers", "later"]
