"""Changes found by a network whose posteriors are the scan: what it finds is known."""

import csv
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from registration_runs import scan, write_run

from synthtf.cli.main import main
from synthtf.data.label_table import LabelTable
from synthtf.data.transforms import Affine
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference import find_change
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Posteriors that are the first image and its half; and a registration that finds balls."""
    pair = keras.Input((None, None, None, 2), name="image")
    first = pair[..., :1]
    posteriors = keras.ops.concatenate([1 - 1.5 * first, first, first / 2], axis=-1)
    folder = tmp_path_factory.mktemp("runs")
    facts = {
        "task": "change",
        "shape": [80] * 3,
        "spacing": [2.0] * 3,
        "multiple": 8,
        "output_labels": [0, 4, 77],
        "regions": ["ventricle", 77],
        "region_labels": [[4], [77]],
    }
    recipe = Recipe.preset("tutorial")
    run = Run.create(folder / "change", LabelTable.from_labels([0, 4, 77]), recipe, facts)
    run.save_model(keras.Model(pair, posteriors))
    return run, write_run(folder / "rigid", "rigid")


def grown():
    """The scan of a head, in which a ball has come."""
    volume = scan()
    data = volume.data.copy()
    data[38:43, 30:35, 38:43] = 0.7 * data.max()
    return Volume(data, volume.affine)


def test_finds_what_has_come_and_no_more(runs):
    first, second = scan(), grown()
    found = find_change(first, second, runs[0], flip=False)
    assert list(found.volumes) == ["ventricle", "77"]
    assert found.map.data.shape == (*first.data.shape, 2)
    expected = 0.7 * 125 * 8
    assert found.volumes["ventricle"] == pytest.approx(expected, rel=0.02)
    assert found.volumes["77"] == pytest.approx(expected / 2, rel=0.02)
    assert found.map.data[..., 0].sum() * 8 == pytest.approx(expected, rel=0.02)
    np.testing.assert_array_equal(found.map.affine, first.affine)
    back = find_change(second, first, runs[0], flip=False)
    np.testing.assert_array_equal(back.map.data, -found.map.data)
    assert find_change(first, first, runs[0]).volumes == {"ventricle": 0, "77": 0}


def test_the_map_has_the_grid_of_the_first_scan(runs):
    """Orientation and voxel size of either scan do not matter; headers align them."""
    first = scan(spacing=(1.0, 2.0, 4.0), shape=(160, 88, 40), axes="LAS")
    found = find_change(first, grown(), runs[0], flip=False)
    assert found.map.data.shape == (160, 88, 40, 2)
    np.testing.assert_array_equal(found.map.affine, first.affine)
    x, y, z = np.unravel_index(found.map.data[..., 0].argmax(), first.data.shape)
    place = (first.affine @ [x, y, z, 1])[:3]
    centre = (grown().affine @ [40, 32, 40, 1])[:3]
    assert np.abs(place - centre).max() <= 8


def shifted():
    matrix = np.eye(4)
    matrix[:3, 3] = (4, -6, 2)
    return Affine(matrix)


def test_scans_are_aligned_by_a_rigid_registration(runs, monkeypatch):
    asked = []

    def register(moving, fixed, model, **options):
        asked.append((model, options))
        return SimpleNamespace(forward=shifted())

    monkeypatch.setattr("synthtf.inference.changes.register", register)
    far = find_change(scan(), scan(shifted()), runs[0], flip=False)
    near = find_change(scan(), scan(shifted()), runs[0], affine=runs[1], flip=False)
    assert np.abs(near.map.data).mean() < np.abs(far.map.data).mean() / 10
    assert asked == [(runs[1], {"method": "rigid", "ct": ()})]


@pytest.mark.slow
def test_a_network_of_registration_aligns_scans(runs):
    far, near = (
        find_change(scan(), scan(shifted()), runs[0], affine=run) for run in (None, runs[1])
    )
    assert np.abs(near.map.data).mean() < np.abs(far.map.data).mean() / 3


def test_the_command_writes_maps_and_a_table(runs, tmp_path, capsys):
    for name, volume in (("a", scan()), ("b", grown())):
        write_volume(tmp_path / f"{name}.nii.gz", volume.data, affine=volume.affine)
    (tmp_path / "pairs.csv").write_text(
        "fixed,moving,name\na.nii.gz,b.nii.gz,up\nb.nii.gz,a.nii.gz,down\nb.nii.gz,b.nii.gz,none\n"
        "a.nii.gz,missing.nii.gz,lost\n"
    )
    words = ["change", "--model", str(runs[0].folder), "--aligned", "--no-flip"]
    table = ["--pairs", str(tmp_path / "pairs.csv")]
    outputs = ["-o", str(tmp_path / "out"), "--vol", str(tmp_path / "vol.csv")]
    assert main([*words, *table, *outputs]) == 1
    assert "missing.nii.gz" in capsys.readouterr().err
    found = find_change(scan(), grown(), runs[0], flip=False)
    written = read_volume(tmp_path / "out" / "up_change.nii.gz", frames=True)
    np.testing.assert_allclose(written.data, found.map.data, atol=1e-5)
    facts = json.loads((tmp_path / "out" / "up_change.json").read_text())
    assert facts["VolumeChanges"]["77"] == pytest.approx(found.volumes["77"], abs=1e-2)
    with open(tmp_path / "vol.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["scan", "first scan", "ventricle", "77"]
    sizes = {(r["first scan"][-8:-7], r["scan"][-8:-7]): float(r["ventricle"]) for r in rows}
    assert sizes["a", "b"] == -sizes["b", "a"] > 0 and sizes["b", "b"] == 0
    assert main([*words, *table]) == 2
    assert main([*words, *map(str, [tmp_path / "a.nii.gz"]), "--vol", str(tmp_path / "v.csv")]) == 2
    other = [
        str(tmp_path / "a.nii.gz"),
        str(tmp_path / "b.nii.gz"),
        "--vol",
        str(tmp_path / "v.csv"),
    ]
    assert main([*words, *other, "--affine", str(runs[1].folder)]) == 2


def test_what_cannot_be_compared_is_refused(runs):
    away = scan()
    affine = away.affine.copy()
    affine[0, 3] += 1000
    with (
        pytest.raises(ValueError, match="no overlap"),
        pytest.warns(UserWarning, match="no voxel"),
    ):
        find_change(scan(), Volume(away.data, affine), runs[0])
    with pytest.raises(ValueError, match="one frame"):
        find_change(scan(), Volume(np.stack([away.data] * 2, -1), away.affine, ndim=3), runs[0])
