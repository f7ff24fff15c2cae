"""The meter of domain shift: what does not depend on contrast, what does, and where."""

import csv

import keras
import numpy as np
import pytest
from matplotlib.image import imread
from registration_runs import write_run as write_registration

from synthtf.cli.main import main
from synthtf.data import LabelMaps
from synthtf.data.volume_writer import write_volume
from synthtf.inference import co_registered, compare_features, rendered
from synthtf.layers import RandomAffine, RandomIntensity
from synthtf.networks import UNetConfig
from synthtf.synthesis import Recipe
from synthtf.tasks import segmentation
from synthtf.training import FeatureInvariance


def anatomy():
    labels = np.zeros((16, 16, 16), "int32")
    labels[2:14, 2:14, 2:14] = 1
    labels[5:11, 5:11, 5:11] = 2
    return labels


def image_of(means):
    return np.asarray(means, "float32")[anatomy()]


def edge_network():
    """A first layer that shows intensities and a second one that shows edges of either sign."""
    inputs = keras.Input((None, None, None, 1))
    copy = keras.layers.Conv3D(1, 1, name="intensity", use_bias=False)
    edge = keras.layers.Conv3D(1, 3, padding="same", name="edge", use_bias=False)
    network = keras.Model(inputs, keras.ops.abs(edge(copy(inputs))))
    copy.set_weights([np.ones((1, 1, 1, 1, 1))])
    kernel = np.zeros((3, 3, 3, 1, 1))
    kernel[0, 1, 1], kernel[2, 1, 1] = -1, 1
    edge.set_weights([kernel])
    return network


def test_features_that_do_not_depend_on_contrast_correlate():
    # The same edges, the inner one of the other sign.
    images = np.stack([image_of((0, 0.5, 1)), image_of((0, 0.5, 0))])
    found = compare_features(edge_network(), images, ["T1", "T2"]).layers
    assert list(found) == ["image", "intensity", "edge", "output"]
    assert found["output"]["ncc"] == pytest.approx(1, abs=1e-5)
    assert found["output"]["difference"] == pytest.approx(0, abs=1e-5)
    assert found["image"] == pytest.approx(found["intensity"])
    assert found["intensity"]["ncc"] < 0.8 and found["edge"]["ncc"] < 0.9
    assert found["intensity"]["difference"] > 0.1


def test_measures_are_those_of_numpy():
    images = np.random.default_rng(0).uniform(size=(3, 8, 8)).astype("float32")
    inputs = keras.Input((None, None, 1))
    rows = compare_features(keras.Model(inputs, inputs * 1), images).rows
    for row in [row for row in rows if row["layer"] == "image"]:
        a, b = (images[int(row[name])].ravel() for name in ("scan", "other"))
        assert row["ncc"] == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-5)
        assert row["difference"] == pytest.approx(np.abs(a - b).mean() / images.std(), rel=1e-5)
    assert len({(row["scan"], row["other"]) for row in rows}) == 3


def test_layers_are_the_same_however_many_are_held(monkeypatch):
    images = np.stack([image_of((0, 0.5, 1)), image_of((0, 1, 0.2))])
    network = segmentation((16,) * 3, [0, 1, 2], network=UNetConfig(2, 2)).task_model
    whole = compare_features(network, images)
    monkeypatch.setattr("synthtf.inference.invariance._BYTES", 1)
    one = compare_features(network, images)
    assert [row["ncc"] for row in one.rows] == pytest.approx([r["ncc"] for r in whole.rows])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose network has not learnt anything."""
    recipe = Recipe([RandomAffine(), RandomIntensity()])
    model = segmentation((16,) * 3, [0, 1, 2], 2.0, recipe, network=UNetConfig(2, 2))
    return model.save_run(tmp_path_factory.mktemp("run")).folder


@pytest.fixture
def scans(tmp_path):
    paths = [tmp_path / f"{name}.nii.gz" for name in ("T1", "T2")]
    for path, means in zip(paths, ((0, 5, 9), (0, 9, 5)), strict=True):
        write_volume(path, image_of(means), affine=np.diag([2, 2, 2, 1]))
    return [str(path) for path in paths]


def rows_of(folder):
    with open(folder / "invariance.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_command_compares_scans(run, scans, tmp_path, capsys):
    assert main(["invariance", str(run), *scans, "-o", str(tmp_path / "out")]) == 0
    rows = rows_of(tmp_path / "out")
    assert {(row["scan"], row["other"]) for row in rows} == {("T1", "T2")}
    assert rows[0]["layer"] == "image" and rows[-1]["layer"] == "output"
    assert imread(tmp_path / "out" / "invariance.png").std() > 0.05
    assert "down_0_conv_0" in capsys.readouterr().out
    same = compare_features(edge_network(), co_registered([scans[0]] * 2, run))
    assert all(row["ncc"] == pytest.approx(1, abs=1e-5) for row in same.rows)


def test_the_command_compares_contrasts_of_a_label_map(run, tmp_path):
    write_volume(tmp_path / "map.nii.gz", anatomy(), affine=np.diag([2, 2, 2, 1]))
    command = ["invariance", str(run), "--from-labels", str(tmp_path / "map.nii.gz"), "-n", "3"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 0
    assert len(rows_of(tmp_path / "out")) % 3 == 0
    images = rendered(tmp_path / "map.nii.gz", run, 2)
    # The anatomy stays where it is: each label is as even in one image as in the other.
    for image in images:
        assert max(image[anatomy() == label].std() for label in (1, 2)) < 0.5 * image.std()
    assert np.abs(images[0] - images[1]).max() > 0.05


def test_wrong_usage(run, scans, tmp_path, capsys):
    out = ["-o", str(tmp_path / "out")]
    assert main(["invariance", str(run), scans[0], *out]) == 2
    assert main(["invariance", str(run), *scans, "--ct", "other.nii.gz", *out]) == 2
    assert "--ct: other.nii.gz" in capsys.readouterr().err
    write_volume(scans[1], image_of((0, 1, 2))[:-1], affine=np.diag([2, 2, 2, 1]))
    assert main(["invariance", str(run), *scans, *out]) == 1
    assert "on the same grid" in capsys.readouterr().err
    write_registration(tmp_path / "registration", "deformable")
    assert main(["invariance", str(tmp_path / "registration"), *scans, *out]) in (1, 2)


def test_a_callback_logs_it():
    images = np.stack([image_of((0, 0.5, 1)), image_of((0, 1, 0.2))])
    model = segmentation((16,) * 3, [0, 1, 2], 1.0, [RandomIntensity()], network=UNetConfig(2, 2))
    model.compile("adam")
    model.run_eagerly = True
    watched = FeatureInvariance(images, every=1)
    history = model.fit(LabelMaps([anatomy()]), verbose=0, callbacks=[watched]).history
    assert 0 < history["invariance"][0] <= 1
    assert history["output_invariance"][0] == watched.found.layers["output"]["ncc"]
