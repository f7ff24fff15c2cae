import hashlib
import json
import types
import warnings
from datetime import datetime
from pathlib import Path

import pytest

from synthtf.inference.cohorts.provenance import (
    Provenance,
    file_digest,
    noted_warnings,
    sidecar_path,
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
    return Provenance(types.SimpleNamespace(folder=run), "synthtf strip x", kinds)


def test_digest_is_that_of_the_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 10**6)
    assert file_digest(tmp_path / "x") == hashlib.sha256(b"abc" * 10**6).hexdigest()


def test_facts_name_scan_model_and_command(provenance, tmp_path, monkeypatch):
    (tmp_path / "scan.nii").write_bytes(b"voxels")
    monkeypatch.chdir(tmp_path)
    facts = provenance.facts("mask", Path("scan.nii"), 1.23456, ["dark"])
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
    provenance = Provenance(provenance.run, "", root=tmp_path)
    facts = provenance.facts("mask", scan, 0.0, [])
    assert facts["Sources"] == ["bids:raw:sub-1/anat/sub-1_T1w.nii"]


def test_only_a_file_of_a_success_counts(tmp_path):
    output = tmp_path / "new" / "x_seg.nii.gz"
    assert not succeeded(output)
    write_sidecar(output, {"SynthtfVersion": "1"})
    assert sidecar_path(output).name == "x_seg.json"
    assert json.loads(sidecar_path(output).read_text()) == {"SynthtfVersion": "1"}
    assert succeeded(output)
    assert not succeeded(output, digest="0a")
    write_sidecar(output, {"SynthtfVersion": "1", "ModelSHA256": "0a"})
    assert succeeded(output, digest="0a") and not succeeded(output, digest="0b")
    for facts in ({"SynthtfVersion": "1", "Error": "empty"}, {"EchoTime": 1}, []):
        write_sidecar(output, facts)
        assert not succeeded(output)
    sidecar_path(output).write_text('{"SynthtfVersion"')
    assert not succeeded(output)


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
