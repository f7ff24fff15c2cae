"""Tests of networks that return images: what they find is known."""

import keras
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.label_table import LabelTable
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference import correct, segment, super_resolve
from synthtf.inference.prediction import load_run
from synthtf.layers import KeepDistance, KeepGain, KeepImage, RandomBiasField, RandomIntensity
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

STEPS = [RandomIntensity(), KeepImage(), RandomBiasField(), KeepGain()]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network that returns its input, and a field that grows from left to right by e."""
    image = keras.Input((None, None, None, 1), name="image")
    x = keras.ops.cumsum(keras.ops.ones_like(image), axis=1)
    size = keras.ops.max(x)
    log_gain = (x - 0.5 * (size + 1)) / (size - 1)
    network = keras.Model(image, keras.ops.concatenate([image, log_gain], axis=-1))
    facts = {
        "task": "regression",
        "shape": [48] * 3,
        "spacing": [2.0] * 3,
        "multiple": 1,
        "output_labels": [],
        "target_channels": [1, 1],
    }
    folder = tmp_path_factory.mktemp("run")
    run = Run.create(folder, LabelTable.from_labels([0, 1]), Recipe(STEPS), facts)
    run.save_model(network)
    return run


def scan(shape=(30, 40, 20), spacing=(4.0, 2.0, 4.0), codes="LAS"):
    """A smooth image over the whole field of view."""
    affine = np.diag([*spacing, 1.0])
    affine[0] *= -1 if codes[0] == "L" else 1
    grid = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij")
    return Volume((100 + 900 * grid[1]).astype("float32"), affine)


def test_an_image_has_the_resolution_of_the_network_and_covers_the_scan(run):
    volume = scan()
    found = super_resolve(volume, run, flip=False)
    assert found.data.shape == (60, 40, 40)
    np.testing.assert_allclose(np.diag(found.affine)[:3], 2)
    middle = [
        a @ [*(np.array(s) - 1) / 2, 1]
        for a, s in ((found.affine, found.data.shape), (volume.affine, volume.data.shape))
    ]
    np.testing.assert_allclose(middle[0], middle[1], atol=1e-6)
    profile = found.data[30, :, 20]
    assert np.all(np.diff(profile) >= 0) and profile[0] == 0 and profile[-1] == 1


def test_a_corrected_scan_is_the_scan_over_the_field(run):
    volume = scan()
    found = correct(volume, run, flip=False)
    np.testing.assert_allclose(found.image.data * found.field.data, volume.data, rtol=1e-5)
    np.testing.assert_array_equal(found.field.affine, volume.affine)
    # The first axis of the scan runs to the left: the field falls along it.
    np.testing.assert_allclose(np.log(found.field.data[-1] / found.field.data[0]), -1, atol=0.05)


def test_the_mirrored_scan_is_averaged(run):
    np.testing.assert_allclose(correct(scan(), run, flip=True).field.data, 1, atol=1e-5)


def test_a_target_that_the_network_lacks_is_refused(run):
    with pytest.raises(ValueError, match=r"returns an image\. .*clean, log_gain.*'depth'"):
        super_resolve(scan(), run, target="depth")
    with pytest.raises(ValueError, match="target='log_gain'"):
        super_resolve(scan(), run, target="log_gain")


def test_commands_write_what_the_functions_return(run, tmp_path):
    volume = scan()
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_volume(tmp_path / "in" / f"{name}.nii.gz", volume.data, affine=volume.affine)
    (tmp_path / "in" / "c.nii.gz").write_bytes(b"no volume")
    common = [str(tmp_path / "in"), "--model", str(run.folder)]
    assert main(["super-resolve", *common, "-o", str(tmp_path / "sr")]) == 1
    fields = ["-o", str(tmp_path / "n"), "-f", str(tmp_path / "f"), "--no-flip"]
    assert main(["correct", *common, *fields]) == 1
    for name in ("a", "b"):
        made = read_volume(tmp_path / "sr" / f"{name}_sr.nii.gz")
        np.testing.assert_allclose(made.data, super_resolve(volume, run).data, atol=1e-5)
        field = read_volume(tmp_path / "f" / f"{name}_field.nii.gz")
        expected = correct(volume, run, flip=False).field.data
        np.testing.assert_allclose(field.data, expected, rtol=1e-5)
    assert main(["correct", *common]) == 2


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A network that returns two distances, its input, and posteriors: label 1 is bright."""
    image = keras.Input((None, None, None, 1), name="image")
    bright = keras.layers.Concatenate(name="bright")([0.5 - image, image - 0.5])
    posteriors = keras.layers.Activation("softmax", name="posteriors")(100.0 * bright)
    distances = [2 - 4 * image, 0 * image + 1]
    network = keras.Model(image, keras.layers.Concatenate()([*distances, image, posteriors]))
    facts = {
        "task": "regression",
        "segment": True,
        "shape": [48] * 3,
        "spacing": [2.0] * 3,
        "multiple": 1,
        "output_labels": [0, 1],
        "target_channels": [2, 1],
    }
    steps = [RandomIntensity(), KeepDistance([1, [1]], limit=3), KeepImage()]
    run = Run.create(
        tmp_path_factory.mktemp("many"), LabelTable.from_labels([0, 1]), Recipe(steps), facts
    )
    run.save_model(network)
    return run


def test_each_target_has_its_channels(many):
    image = super_resolve(scan(), many, target="clean", flip=False).data
    distance = super_resolve(scan(), many).data
    assert distance.shape == (*image.shape, 2)
    inside = image > 0
    np.testing.assert_allclose(distance[..., 0][inside], (2 - 4 * image)[inside], atol=1e-5)
    np.testing.assert_allclose(distance[..., 1][inside], 1, atol=1e-5)


def test_a_network_that_labels_voxels_as_well_segments(many):
    volume = scan()
    found = segment(volume, many, refine=False, cleaning=None)
    assert found.labels.data.shape == volume.data.shape
    bright = volume.data > np.median(volume.data)
    assert (found.labels.data == bright).mean() > 0.95
    # Its part that labels voxels is made once: a network is compiled once for all scans.
    assert load_run(many, "segmentation") is load_run(many, "segmentation")


def test_a_network_of_images_alone_does_not_segment(run):
    with pytest.raises(ValueError, match="Expected a run of the task 'segmentation'"):
        segment(scan(), run)
