import shutil
import types
import warnings

import numpy as np
import pytest
import registration_runs
import stripping_runs
from bad_volumes import SIDE, affine, labels

from synthtf.data.label_table import LabelTable
from synthtf.data.transforms import Affine
from synthtf.data.volume_writer import write_volume


@pytest.fixture(scope="session")
def contrast_run(tmp_path_factory):
    """A run whose network tells intensities 0, 0.5 and 1 apart, as labels 0, 24 and 16."""
    import keras

    from synthtf.runs.run import Run
    from synthtf.synthesis import Recipe

    folder = tmp_path_factory.mktemp("model ü")
    (folder / "table.tsv").write_text("id\tname\n0\tbackground\n16\tbrain stem\n24\tfluid\n")
    facts = {
        "task": "segmentation",
        "shape": [64, 64, 64],
        "spacing": [1, 1, 1],
        "multiple": 8,
        "output_labels": [0, 16, 24],
        "steps": 1200,
    }
    table = LabelTable.read(folder / "table.tsv")
    run = Run.create(folder, table, Recipe.preset("tutorial"), facts)
    # The classes' negative squared distances, without the square that they share.
    centres = np.array([0.0, 1.0, 0.5], np.float32)
    layer = keras.layers.Conv3D(3, 1, activation="softmax")
    inputs = keras.Input((None, None, None, 1))
    network = keras.Model(inputs, layer(inputs))
    layer.set_weights([200 * centres.reshape(1, 1, 1, 1, 3), -100 * centres**2])
    with warnings.catch_warnings():
        # Keras converts TensorFlow's variables in a way that NumPy 2 calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        run.save_model(network)
    return str(folder)


@pytest.fixture
def model(contrast_run, monkeypatch):
    """The run's folder, and how often it was loaded."""
    from synthtf.runs.run import Run

    counted = types.SimpleNamespace(folder=contrast_run, loads=0)
    load = Run.load

    def load_and_count(folder):
        counted.loads += 1
        return load(folder)

    monkeypatch.setattr(Run, "load", load_and_count)
    return counted


@pytest.fixture
def save_scan():
    """Write a scan of two nested cubes of 10³ and 20³ voxels; returns its array."""

    def save(path, spacing=(1.0, 1.0, 1.0)):
        data = np.zeros((32, 32, 32), np.float32)
        data[6:26, 6:26, 6:26] = 0.5
        data[11:21, 11:21, 11:21] = 1
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, data, affine=np.diag([-1.0, 1.0, 1.0, 1.0]) * [*spacing, 1.0])
        return data

    return save


@pytest.fixture
def error_lines(capsys):
    """Gives the lines on standard error so far, but for estimates of memory."""

    def lines():
        return [x for x in capsys.readouterr().err.splitlines() if " GB of memory for " not in x]

    return lines


@pytest.fixture(scope="session")
def runs(tmp_path_factory, contrast_run):
    """A folder with what the commands need beside scans."""
    folder = tmp_path_factory.mktemp("runs ü")
    with pytest.MonkeyPatch.context() as patch:
        for module in (stripping_runs, registration_runs):
            patch.setattr(module, "SHAPE", (SIDE,) * 3)
        stripping_runs.write_run(folder / "stripping")
        registration_runs.write_run(folder / "registration", "deformable")
    shutil.copytree(contrast_run, folder / "segmentation")
    write_volume(folder / "fixed.nii.gz", labels(), affine=affine())
    from synthtf.interop.transform_files import write_transform
    from synthtf.synthesis import Recipe

    write_transform(folder / "still.tfm", Affine(np.eye(4)), fixed=None, moving=None)
    still = Recipe.preset("tutorial").without("warp", "affine", "resolution", "bias")
    still.save(folder / "recipe.json")
    (folder / "table.tsv").write_text("id\tname\n0\tair\n1\tgrey\n2\twhite\n")
    return folder
