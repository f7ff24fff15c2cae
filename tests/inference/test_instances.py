"""Tests of telling objects apart, by a network that knows the label map it is shown."""

import importlib
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from synthtf.cli.main import main
from synthtf.data.label_table import LabelTable
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.evaluation import match_objects
from synthtf.inference import find_instances
from synthtf.layers import RandomIntensity, RandomSpheres, StarDistances
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe

SHAPES = {2: (60, 72), 3: (28, 36, 32)}
RAYS = {2: 32, 3: 64}


def spheres(ndim):
    layer = RandomSpheres(radius=(5, 7), distance=15, irregularity=(0, 0.2), seed=1)
    labels = np.asarray(layer(np.zeros((1, *SHAPES[ndim], 1), "int32")))[0, ..., 0]
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype("int32")


@pytest.fixture(scope="module", params=[2, 3])
def known(request, tmp_path_factory):
    """A label map, and a run whose network tells from the intensities which label is which."""
    ndim, labels = request.param, spheres(request.param)
    number = int(labels.max())
    image = keras.Input((*SHAPES[ndim], 1), name="image")
    index = keras.ops.cast(keras.ops.round(image * number), "int32")
    stars = StarDistances(list(range(1, number + 1)), RAYS[ndim], 20)(index)
    p = keras.ops.clip(stars[..., :1], 1e-3, 1 - 1e-3)
    logit = keras.ops.log(p / (1 - p))
    network = keras.Model(image, keras.ops.concatenate([logit, stars[..., 1:]], axis=-1))
    facts = {
        "task": "instances",
        "shape": list(SHAPES[ndim]),
        "spacing": [1.0] * ndim,
        "multiple": 4,
        "output_labels": [0, 1],
        "rays": RAYS[ndim],
    }
    recipe = Recipe([RandomIntensity()])
    run = Run.create(tmp_path_factory.mktemp("run"), LabelTable.from_labels([0, 1]), recipe, facts)
    run.save_model(network)
    return run, labels


def stardist():
    kept = warnings.formatwarning
    pytest.importorskip("stardist", reason="stardist is not installed")
    warnings.formatwarning = kept


def test_objects_are_told_apart_on_the_grid_of_the_scan(known):
    stardist()
    run, labels = known
    affine = np.diag([1.0] * 4)
    affine[:3, 3] = 5, -7, 2
    scan = Volume(labels.astype("float32"), affine)
    found = find_instances(scan, run)
    assert found.data.dtype == np.int32 and found.ndim == labels.ndim
    np.testing.assert_array_equal(found.affine, affine)
    match = match_objects(found.data, labels)
    assert match.average_precision > 0.8 and match.mean_iou > (0.9 if labels.ndim == 2 else 0.7)
    assert found.data.max() == match.objects


def test_a_scan_that_lies_otherwise_gets_objects_where_it_is(known):
    """Mirrored and turned in 3D; a 2D image is not turned, but brought to the voxels."""
    stardist()
    run, labels = known
    if labels.ndim == 2:
        scan, affine = np.repeat(labels, 2, axis=1), np.diag([1.0, 0.5, 1.0, 1.0])
    else:
        scan, affine = np.ascontiguousarray(labels[::-1].transpose(2, 0, 1)), np.zeros((4, 4))
        affine[0, 1], affine[1, 2], affine[2, 0], affine[3, 3] = -1.0, 1.0, 1.0, 1.0
    found = find_instances(Volume(scan.astype("float32"), affine), run)
    match = match_objects(found.data, scan)
    # Between two labels, a resampled scan shows others, which the network takes for objects.
    assert match.matched > 0.85 * match.reference_objects


def test_nothing_is_found_where_nothing_is_likely(known):
    stardist()
    run, labels = known
    assert not find_instances(
        Volume(labels.astype("float32"), np.eye(4)), run, threshold=1
    ).data.any()


def test_what_does_not_fit_is_refused(known):
    stardist()
    run, labels = known
    scan = Volume(labels.astype("float32"), np.eye(4))
    for name in ("threshold", "overlap"):
        with pytest.raises(ValueError, match=f"`{name}` must lie in"):
            find_instances(scan, run, **{name: 1.5})
    other = Volume(np.zeros((8,) * (5 - labels.ndim), "float32"), np.eye(4))
    with pytest.raises(ValueError, match=f"needs an image of {labels.ndim} dimensions"):
        find_instances(other, run)


def test_the_command_writes_label_maps_and_how_many_objects_there_are(known, tmp_path):
    stardist()
    run, labels = known
    if labels.ndim == 3:
        pytest.skip("as in 2D")
    before = warnings.formatwarning
    Image.fromarray(labels.T.astype("uint8")).save(tmp_path / "picture.png")
    output = tmp_path / "found.nii.gz"
    arguments = ["instances", str(tmp_path / "picture.png"), "-o", str(output)]
    assert main([*arguments, "--model", str(run.folder)]) == 0
    found = read_volume(output, labels=True)
    assert found.data.shape == labels.shape
    assert match_objects(found.data, labels).average_precision > 0.8
    assert f'"NumberOfObjects": {found.data.max()}' in (tmp_path / "found.json").read_text()
    assert warnings.formatwarning is before


def test_without_stardist_the_way_out_is_said(known, tmp_path, monkeypatch, capsys):
    def missing(name, package=None, real=importlib.import_module):
        if name.startswith("stardist"):
            raise ImportError(f"No module named {name!r}")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    write_volume(tmp_path / "scan.nii.gz", known[1].astype("float32"), affine=np.eye(4))
    arguments = ["instances", str(tmp_path / "scan.nii.gz"), "-o", str(tmp_path / "out.nii.gz")]
    arguments += ["--model", str(known[0].folder)]
    assert main(arguments) == 2
    assert 'pip install "synthtf[instances]"' in capsys.readouterr().err
    assert main([*arguments, "--overlap", "1.5"]) == 2
    assert "`overlap` must lie in [0, 1]" in capsys.readouterr().err
