"""`synthtf view` serves a scan and its labels until it is interrupted."""

import json
import urllib.request

import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.volume_writer import write_volume
from synthtf.inference.page import exporting, viewing


@pytest.fixture
def interrupted(monkeypatch):
    """Look at the page, then press Ctrl-C."""
    seen = []

    def opened(address):
        place, _, query = address.partition("?")
        with urllib.request.urlopen(place + "network.json") as answer:
            seen.append((query, json.loads(answer.read())))
        for part in filter(None, query.split("&")):
            with urllib.request.urlopen(place + part.partition("=")[2]) as answer:
                seen.append(len(answer.read()))

    def wait():
        raise KeyboardInterrupt

    monkeypatch.setattr(viewing.webbrowser, "open", opened)
    monkeypatch.setattr(viewing, "wait", wait)
    monkeypatch.setattr(exporting, "_LIBRARIES", ())
    return seen


def test_a_scan_and_its_labels(tmp_path, interrupted, capsys):
    for name in ("scan", "labels"):
        write_volume(tmp_path / f"{name}.nii.gz", np.ones((4, 5, 6), "int16"), affine=np.eye(4))
    assert main(["view", str(tmp_path / "scan.nii.gz"), str(tmp_path / "labels.nii.gz")]) == 0
    (query, facts), *sizes = interrupted
    assert query == "scan=scan/scan.nii.gz&labels=labels/labels.nii.gz"
    assert sizes == [(tmp_path / f"{n}.nii.gz").stat().st_size for n in ("scan", "labels")]
    assert facts["labels"][0]["name"] == "left cerebral white matter"
    assert "http://127.0.0.1:" in capsys.readouterr().err


def test_an_exported_page(tmp_path, interrupted):
    (tmp_path / "index.html").write_text("")
    (tmp_path / "network.json").write_text('{"name": "mine"}')
    assert main(["view", str(tmp_path)]) == 0
    assert interrupted == [("", {"name": "mine"})]


@pytest.mark.parametrize("name", ["absent.nii.gz", "text.nii.gz"])
def test_files_that_cannot_be_shown(tmp_path, interrupted, capsys, name):
    (tmp_path / "text.nii.gz").write_text("no scan")
    assert main(["view", str(tmp_path / name)]) == 2
    assert name in capsys.readouterr().err and not interrupted
