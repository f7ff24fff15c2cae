"""The script's tables, for a network whose lesions are known."""

import importlib.util
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from synthtf.data import LabelTable, write_volume
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

SCRIPTS = Path(__file__).parents[1] / "scripts"
ROWS = "id\tname\ttissue\n0\tbackground\tbackground\n2\tbrain\tWM\n77\tlesion\tlesion\n"


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        spec = importlib.util.spec_from_file_location(
            "evaluate_lesions", SCRIPTS / "evaluate_lesions.py"
        )
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "evaluate_lesions", module)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture
def run(tmp_path):
    """What is above 0.75 of the brightest is a lesion, and what is above 0.25 is brain."""
    (tmp_path / "labels.tsv").write_text(ROWS)
    table = LabelTable.read(tmp_path / "labels.tsv")
    facts = {
        "task": "segmentation",
        "shape": [16, 16, 16],
        "spacing": [1, 1, 1],
        "multiple": 8,
        "output_labels": [0, 2, 77],
    }
    recipe = Recipe.preset("tutorial").without("affine", "warp", "field_of_view")
    run = Run.create(tmp_path / "run", table, recipe, facts)
    centres = np.array([0.0, 0.5, 1.0], np.float32)
    layer = keras.layers.Conv3D(3, 1, activation="softmax")
    inputs = keras.Input((None, None, None, 1))
    network = keras.Model(inputs, layer(inputs))
    layer.set_weights([400 * centres.reshape(1, 1, 1, 1, 3), -200 * centres**2])
    run.save_model(network)
    return run


@pytest.fixture
def data(tmp_path):
    """A brain with two lesions, one of them dark, and a bright voxel that is none."""
    scan = np.zeros((32, 32, 32), np.float32)
    scan[6:26, 6:26, 6:26] = 0.5
    truth = np.zeros(scan.shape, np.uint8)
    truth[10:18, 10:18, 10:18] = truth[20:22, 20:22, 20:22] = 1
    scan[10:18, 10:18, 10:18] = scan[8, 20, 20] = 1
    for name, values in (
        ("d_FLAIR_brain", scan),
        ("d_lesion", truth),
        ("d_brainmask", (scan > 0).astype("uint8")),
    ):
        write_volume(tmp_path / "scans" / f"{name}.nii.gz", values, affine=np.eye(4))
    return tmp_path


def test_scores_of_masks(script):
    truth, found = np.zeros((2, 9, 3, 3), bool)
    truth[0, 0, 0] = truth[1, 1, 1] = truth[4:6, 2, 2] = True  # one across a corner, and another
    found[1, 1, 1] = found[8, 0, 0] = True
    score = script.Score.of(found, truth, 500.0)
    assert score == script.Score(2 / 6, 2, 1, 1, 1.0, 2.0)


def test_network_and_thresholds(script, run, data, capsys):
    script.main([str(run.folder), "--data", str(data)])
    text = (run.folder / "lesions" / "report.md").read_text()
    output = capsys.readouterr()
    assert text in output.out and output.err.count("skipped, absent") == 2
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()]
    rows = [row for row in rows if row and row[0] == "d"]
    assert [row[1].split(",")[0] for row in rows] == ["network", "threshold", "threshold"]
    for row in rows:
        expected = 2 * 512 / (513 + 520)
        assert float(row[2]) == pytest.approx(expected, abs=1e-3)
        assert row[3:] == ["1 of 2", "1", "0.513", "0.520"]
    assert (run.folder / "lesions" / "lesions.png").stat().st_size > 1000


def test_synthetic_images(script, run, data, tmp_path):
    labels = np.full((20, 20, 20), 2, np.int32)
    labels[8:12, 8:12, 8:12] = 77
    write_volume(tmp_path / "map.nii.gz", labels, affine=np.eye(4))
    words = ["--data", str(tmp_path / "none"), "--maps", str(tmp_path / "map.nii.gz")]
    script.main([str(run.folder), *words])
    text = (run.folder / "lesions" / "report.md").read_text()
    assert sum(line.startswith("| synthetic") for line in text.splitlines()) == 4
    assert (run.folder / "lesions" / "synthetic.png").stat().st_size > 1000


def test_refuses_a_folder_without_scans(script, run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        script.main([str(run.folder), "--data", str(tmp_path)])
    assert "name their folder with --data" in capsys.readouterr().err
