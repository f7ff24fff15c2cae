"""A network whose features are known."""

import json

import keras
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.label_table import LabelTable
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference import extract_features
from synthtf.layers import RandomIntensity
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Features turn with the intensity, from (1, 0) to (0, 1)."""
    image = keras.Input((None, None, None, 1), name="image")
    angle = image * np.pi / 2
    both = [keras.ops.cos(angle), keras.ops.sin(angle)]
    network = keras.Model(image, keras.ops.concatenate(both, axis=-1))
    facts = {
        "task": "contrastive",
        "shape": [16] * 3,
        "spacing": [2.0] * 3,
        "multiple": 4,
        "output_labels": [],
    }
    folder = tmp_path_factory.mktemp("run")
    run = Run.create(folder, LabelTable.from_labels([0, 1]), Recipe([RandomIntensity()]), facts)
    run.save_model(network)
    return run


def scan(shape=(20, 30, 10), spacing=(4.0, 2.0, 4.0)):
    grid = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij")
    return Volume((100 + 900 * grid[1]).astype("float32"), np.diag([*spacing, 1.0]))


def test_features_are_frames_at_the_resolution_of_the_network(run):
    found = extract_features(scan(), run)
    assert found.data.shape == (40, 30, 20, 2) and found.ndim == 3
    np.testing.assert_allclose(np.diag(found.affine)[:3], 2)
    inside = np.any(found.data, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(found.data[inside], axis=-1), 1, atol=1e-5)
    profile = found.data[20, :, 10, 1]
    assert np.all(np.diff(profile[inside[20, :, 10]]) >= 0) and profile[-1] > 0.99


def test_command(run, tmp_path):
    volume = scan()
    write_volume(tmp_path / "a.nii.gz", volume.data, affine=volume.affine)
    words = ["features", str(tmp_path / "a.nii.gz"), "-o", str(tmp_path / "f.nii.gz")]
    assert main([*words, "--model", str(run.folder)]) == 0
    made = read_volume(tmp_path / "f.nii.gz", frames=True)
    np.testing.assert_allclose(made.data, extract_features(volume, run).data, atol=1e-5)
    assert json.loads((tmp_path / "f.json").read_text())["Description"].startswith("Features")
    before = (tmp_path / "f.nii.gz").stat().st_mtime_ns
    assert main([*words, "--model", str(run.folder), "--skip-existing"]) == 0
    assert (tmp_path / "f.nii.gz").stat().st_mtime_ns == before
    assert main(words) == 2  # no such model comes with the package
