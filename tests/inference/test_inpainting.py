"""Holes filled by a network that knows what to put there."""

import json

import keras
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.label_table import LabelTable
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference import inpaint
from synthtf.layers import KeepGain, KeepImage, RandomBiasField, RandomHoles, RandomIntensity
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

SHAPE = (30, 40, 35)


def make_run(folder, steps, network):
    facts = {
        "task": "regression",
        "shape": [48] * 3,
        "spacing": [2.0] * 3,
        "multiple": 8,
        "output_labels": [],
        "target_channels": [1],
    }
    run = Run.create(folder, LabelTable.from_labels([0, 1]), Recipe(steps), facts)
    run.save_model(network)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network that fills holes with the mean of what is not one."""
    pair = keras.Input((None, None, None, 2), name="image")
    image, hole = pair[..., :1], pair[..., 1:]
    axes = (1, 2, 3, 4)
    known = keras.ops.cast(image > 0, "float32")
    mean, share = (keras.ops.mean(x, axis=axes, keepdims=True) for x in (image, known))
    network = keras.Model(pair, image + hole * mean / share)
    steps = [RandomIntensity(), KeepImage(), RandomHoles([1])]
    return make_run(tmp_path_factory.mktemp("run"), steps, network)


def scan(lesion=900.0, spacing=(2.0, 2.0, 2.0)):
    """Waves of 400 to 600 with a bright lesion, and the mask of that."""
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    data = (500 + 100 * np.sin(8 * np.pi * grid[1])).astype("float32")
    mask = np.zeros(SHAPE, "uint8")
    mask[12:16, 20:24, 15:19] = 1
    data[mask > 0] = lesion
    affine = np.diag([*spacing, 1.0])
    return Volume(data, affine), Volume(mask, affine)


def test_only_the_mask_changes_and_holds_what_the_network_puts_there(run):
    volume, mask = scan()
    found = inpaint(volume, mask, run)
    inside = mask.data > 0
    np.testing.assert_array_equal(found.data[~inside], volume.data[~inside])
    mean = volume.data[~inside].mean()
    np.testing.assert_allclose(found.data[inside], mean, atol=15)
    np.testing.assert_array_equal(found.affine, volume.affine)


def test_the_network_does_not_see_the_lesion_nor_the_margin(run):
    """Bright or dark, and shining through by a voxel: what comes out is the same."""
    volume, mask = scan()
    inside = mask.data > 0
    expected = inpaint(volume, mask, run, margin=2).data[inside]
    other = scan(lesion=450.0)[0]
    other.data[11, 20:24, 15:19] = 580
    np.testing.assert_allclose(inpaint(other, mask, run, margin=2).data[inside], expected, atol=20)


def test_orientation_and_voxel_size_do_not_matter(run):
    volume, mask = scan()
    expected = inpaint(volume, mask, run).data
    inside = expected[mask.data > 0].mean()
    affine = np.diag([-2.0, 2, 2, 1])
    turned = inpaint(Volume(volume.data[::-1], affine), Volume(mask.data[::-1], affine), run)
    np.testing.assert_allclose(turned.data[::-1], expected, atol=1e-2)
    fine = [np.repeat(x.data, 2, axis=1) for x in (volume, mask)]
    affine = np.diag([2.0, 1, 2, 1])
    found = inpaint(Volume(fine[0], affine), Volume(fine[1], affine), run).data
    assert np.abs(found[fine[1] > 0] - inside).max() < 15


def test_an_empty_mask_leaves_the_scan_alone(run):
    volume, mask = scan()
    found = inpaint(volume, Volume(0 * mask.data, mask.affine), run)
    np.testing.assert_array_equal(found.data, volume.data)


def test_what_does_not_fit_is_refused(run, tmp_path):
    volume, mask = scan()
    with pytest.raises(ValueError, match="must have the grid of"):
        inpaint(volume, Volume(mask.data[1:], mask.affine), run)
    with pytest.raises(ValueError, match="or another position"):
        inpaint(volume, Volume(mask.data, mask.affine + np.eye(4)), run)
    with pytest.raises(ValueError, match="covers all"):
        inpaint(volume, Volume(0 * mask.data + 1, mask.affine), run)
    with pytest.raises(ValueError, match="`margin` must be at least 0"):
        inpaint(volume, mask, run, margin=-1)
    image = keras.Input((None, None, None, 1))
    steps = [RandomIntensity(), RandomBiasField(), KeepGain()]
    other = make_run(tmp_path / "run", steps, keras.Model(image, image))
    with pytest.raises(ValueError, match="expected a network that fills holes"):
        inpaint(volume, mask, other)


def test_the_command_takes_one_mask_or_as_many_as_scans(run, tmp_path, capsys):
    volume, mask = scan()
    for folder in ("in", "masks"):
        (tmp_path / folder).mkdir()
    for name in ("a", "b"):
        write_volume(tmp_path / "in" / f"{name}.nii.gz", volume.data, affine=volume.affine)
        write_volume(tmp_path / "masks" / f"{name}.nii.gz", mask.data, affine=mask.affine)
    expected = inpaint(volume, mask, run, flip=False).data
    words = ["inpaint", str(tmp_path / "in"), str(tmp_path / "masks"), "--model", str(run.folder)]
    out = ["-o", str(tmp_path / "out"), "--no-flip"]
    assert main([*words, *out]) == 0
    made = read_volume(tmp_path / "out" / "b_inpainted.nii.gz")
    np.testing.assert_allclose(made.data, expected, atol=1e-3)
    facts = json.loads((tmp_path / "out" / "b_inpainted.json").read_text())
    assert facts["Mask"].endswith("masks/b.nii.gz")
    one = str(tmp_path / "masks" / "a.nii.gz")
    assert main([*words[:2], one, *words[3:], *out, "--skip-existing"]) == 0
    write_volume(tmp_path / "in" / "c.nii.gz", volume.data[1:], affine=volume.affine)
    assert main([*words, *out]) == 2
    assert main([*words[:2], one, *words[3:], *out, "--skip-existing"]) == 1
    assert "must have the grid of" in capsys.readouterr().err
