"""What reports draw: orientation, part of the scan, and the slice in the file."""

import numpy as np

from synthtf.data.volumes import Volume
from synthtf.reports.view import View

# The axes of the file run to the front, to the feet and to the right.
AFFINE = np.array([[0, 0, 2.0, 0], [1.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]])


def volumes(shape=(100, 90, 40)):
    image = np.zeros(shape, np.float32)
    image[10:80, 12:75, 5:38] = 5 + np.arange(33)
    labels = np.zeros(shape, np.int32)
    labels[40:50, 40:50, 20] = 3
    return Volume(image, AFFINE), Volume(labels, AFFINE)


def test_captions_lead_to_the_slice_in_the_file():
    scan, segmentation = volumes()
    segmentation.data[44, 47, 20] = 8
    view, notes = View.of(scan, segmentation)
    assert notes == []
    for index, axis, letter, expected in ((0, 2, "k", 20), (1, 0, "i", 44), (2, 1, "j", 47)):
        place = int(np.argwhere(view.labels == 8)[0][index])
        mosaic = next(m for m in view.mosaics(1, 50) if m.axis == index)
        mosaic = type(mosaic)(mosaic.plane, index, (place,), mosaic.picture, mosaic.outlines)
        assert view.captions(mosaic) == [f"{letter} {expected}"]
        assert scan.shape[axis] > expected


def test_the_view_is_in_ras_orientation_and_cropped_to_what_there_is():
    view, _ = View.of(*volumes())
    assert view.spacing == (2, 1, 1)
    # 10 mm around the foreground: from the right, 5 voxels of 2 mm.
    assert view.image.shape == (40, 90, 83)
    assert view.image.shape == view.labels.shape
    profile = view.image.max(axis=(1, 2))
    assert profile[30] > profile[10]


def test_labels_outside_of_the_foreground_are_in_view():
    scan, segmentation = volumes()
    segmentation.data[97, 88, 1] = 3
    view, _ = View.of(scan, segmentation)
    assert np.count_nonzero(view.labels) == 101
