"""Networks of two dimensions, made by hand: they tell bright from dark."""

import keras
import nibabel as nib
import numpy as np
import pytest

from synthtf.data import LabelTable
from synthtf.data.volumes import Volume
from synthtf.inference.slices import segment_slices, strip_slices
from synthtf.runs import Run


def made(task, spacing=(2.0, 2.0), weights=(0.0, 40.0), biases=(0.0, -20.0)):
    inputs = keras.Input((*[None] * len(spacing), 1))
    last = keras.layers.Dense(2, activation="softmax" if task == "segmentation" else None)
    network = keras.Model(inputs, last(inputs))
    last.set_weights([np.array([weights], "float32"), np.array(biases, "float32")])
    facts = {"task": task, "shape": [8] * len(spacing), "spacing": spacing, "multiple": 4}
    facts |= {"output_labels": [0, 2], "limit": 5.0}
    return Run(None, LabelTable.from_labels([0, 2]), [], facts, network)


def volume(axes="RAS", mm=2.0, frames=()):
    """A bright block, in voxels of 2 mm, as it lies in some orientation and voxel size."""
    image = np.zeros((10, 12, 6), "float32")
    image[2:7, 3:9, 1:4] = 100
    image = np.repeat(np.repeat(image, round(2 / mm), 0), round(2 / mm), 1)
    found = nib.Nifti1Image(image, np.diag([mm, mm, 3, 1]))
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(axes)
    )
    found = found.as_reoriented(turn)
    return Volume(np.asarray(found.dataobj).reshape(*found.shape, *frames), found.affine, ndim=3)


@pytest.mark.parametrize("axes", ["RAS", "SPL"])
@pytest.mark.parametrize("mm", [2.0, 1.0])
def test_each_axial_slice_of_a_scan_is_segmented(axes, mm):
    scan = volume(axes, mm)
    found = segment_slices(scan, made("segmentation"))
    np.testing.assert_array_equal(found.data, 2 * (scan.data > 50))
    np.testing.assert_array_equal(found.affine, scan.affine)


@pytest.mark.parametrize("axes", ["RAS", "ALS", "RSA", "SLP"])
def test_an_image_is_one_slice_whatever_it_is_a_section_of(axes):
    scan = volume(axes)
    image = Volume(np.ascontiguousarray(scan.data[..., 3]), scan.affine)
    found = segment_slices(image, made("segmentation"))
    assert found.ndim == 2 and found.data.max() == 2
    np.testing.assert_array_equal(found.data, 2 * (image.data > 50))


def test_the_network_sees_an_image_as_in_training(monkeypatch):
    """From left to right along the first axis, between 0 and 1."""
    image = Volume(np.arange(60, dtype="float32").reshape(6, 10), np.diag([-2.0, 2, 2, 1]))
    seen = []

    def predict(run, image, num_outputs, mirrored):
        seen.append(image)
        return np.zeros((*image.shape, num_outputs), "float32")

    monkeypatch.setattr("synthtf.inference.slices.predict", predict)
    segment_slices(image, made("segmentation"))
    assert seen[0].shape == (6, 10) and seen[0][0, 0] > seen[0][-1, 0]
    assert (seen[0].min(), seen[0].max()) == (0, 1)


def test_the_brain_is_where_the_distance_is_negative():
    scan = volume()
    run = made("stripping", weights=(-4.0, 0.0), biases=(2.0, 9.0))
    np.testing.assert_array_equal(strip_slices(scan, run).data, scan.data > 50)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one frame"):
        segment_slices(volume(frames=(1,)), made("segmentation"))
    with pytest.raises(ValueError, match="two dimensions"):
        segment_slices(volume(), made("segmentation", (2.0, 2.0, 2.0)))
    with pytest.raises(ValueError, match="the task 'stripping'"):
        strip_slices(volume(), made("segmentation"))
