"""Mosaics: places, aspect ratio, outlines, grey scale and files."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from synthtf.figures import mosaic as module
from synthtf.figures.mosaic import (
    mosaics,
    outline_colours,
    outlines_png,
    picture_png,
    report_sheet,
    robust_window,
    thumbnail_png,
)

SHAPE = (20, 24, 16)


def block(shape=SHAPE, low=(5, 5, 5), size=6, label=3):
    labels = np.zeros(shape, np.int32)
    labels[tuple(slice(a, a + size) for a in low)] = label
    return labels


def drawn(labels, **options):
    image = np.random.default_rng(0).uniform(size=labels.shape).astype(np.float32)
    return mosaics(image, labels, window=(0, 1), **{"num_slices": 1, "size": 96, **options})


def test_planes_and_their_directions():
    # On the left, at the front and at the top of the head.
    labels = block(low=(0, 18, 10))
    found = drawn(labels)
    assert [(m.plane, m.axis) for m in found] == [("sagittal", 0), ("coronal", 1), ("axial", 2)]
    for mosaic, right_half in zip(found, (True, False, False), strict=True):
        rows, columns = np.nonzero(mosaic.outlines[..., 3])
        height, width = mosaic.picture.shape
        assert rows.max() < height / 2
        assert (columns.min() > width / 2) if right_half else (columns.max() < width / 2)


def test_slices_are_spread_over_the_labels_and_rows_are_of_like_width():
    labels = np.ones((20, 40, 20), np.int32)
    found = drawn(labels, num_slices=3, size=80)
    assert [len(m.slices) for m in found] == [3, 5, 5]
    assert found[0].slices == (3, 10, 16)
    widths = [m.picture.shape[1] for m in found]
    assert min(widths) > 0.85 * max(widths)
    assert drawn(block(low=(9, 9, 9), size=1), num_slices=4)[0].slices == (9,)


def test_voxels_keep_their_proportions():
    labels = np.ones((10, 10, 10), np.int32)
    sagittal, _, axial = drawn(labels, spacing=(1, 1, 3), size=90)
    assert sagittal.picture.shape == (90, 30 + 4)
    assert axial.picture.shape == (30, 30 + 4)


def test_slices_are_those_of_the_image():
    image = np.zeros(SHAPE, np.float32)
    image[..., 0] = 0.5
    sagittal = mosaics(image, block(), window=(0, 1), num_slices=1, size=24)[0]
    picture = sagittal.picture[:, 2:-2]
    assert np.array_equal(np.unique(picture[-1]), [127])
    assert not picture[:-1].any()


def test_outlines_are_the_inner_border_in_the_colour_of_the_label():
    labels = block() + block(low=(5, 11, 5), label=7)
    axial = drawn(labels, size=24)[2]
    lines = axial.outlines[::-1, 2:-2].transpose(1, 0, 2)  # (x, y), a voxel each
    colours = outline_colours([3, 7])
    inside = labels[..., 8]
    for value in (3, 7):
        rgb = np.round(255 * np.array(colours[value][:3]))
        coloured = np.all(lines[..., :3] == rgb, axis=-1) & (lines[..., 3] == 255)
        assert coloured.sum() == 20  # of 36 voxels, those around
        assert np.all(inside[coloured] == value)
    assert not lines[inside == 0, 3].any()


def test_one_label_has_a_wide_outline_and_a_filled_one_is_half_transparent():
    one, two = block(size=10), block(size=10)
    two[0, 0, 0] = 9
    width = [np.count_nonzero(drawn(labels)[2].outlines[..., 3]) for labels in (one, two)]
    assert width[0] > 1.5 * width[1]
    filled = drawn(one, filled=True)[2]
    assert set(np.unique(filled.outlines[..., 3])) == {0, 128}
    assert (filled.outlines[..., 3] > 0).sum() == 40**2
    mixed = filled.merged[filled.outlines[..., 3] > 0]
    assert np.ptp(mixed[:, 0].astype(int)) > 50  # the scan shows through


def test_a_volume_of_one_slice_has_one_plane():
    assert [m.plane for m in drawn(np.ones((20, 24, 1), np.int32))] == ["axial"]
    assert [m.plane for m in drawn(np.ones((1, 24, 20), np.int32))] == ["sagittal"]
    assert len(drawn(np.ones((1, 1, 20), np.int32))) == 1


def test_an_empty_label_map_is_drawn():
    found = drawn(np.zeros(SHAPE, np.int32), num_slices=3)
    assert len(found[0].slices) == 3
    assert not any(m.outlines.any() for m in found)


@pytest.mark.parametrize(
    "options", [{"num_slices": 0}, {"size": 0}, {"window": (1, 1)}, {"spacing": (1, 0, 1)}]
)
def test_wrong_arguments_are_refused(options):
    options = {"window": (0, 1), **options}
    with pytest.raises(ValueError, match=r"must .*Received"):
        mosaics(np.ones(SHAPE), np.ones(SHAPE, int), **options)


def test_another_grid_is_refused():
    with pytest.raises(ValueError, match="on the grid of the image"):
        mosaics(np.ones(SHAPE), np.ones((2, 2, 2), int), window=(0, 1))


def test_colours_of_outlines_are_vivid_and_apart():
    values = [1, 2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 26, 28]
    values += [41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 58, 60]
    colours = outline_colours([0, *values])
    assert colours[0][3] == 0
    rgb = np.array([colours[v][:3] for v in values])
    assert np.all(rgb @ module._LUMINANCE > 0.34)
    assert np.ptp(rgb, axis=1).min() > 0.4
    distance = np.linalg.norm(rgb[:, None] - rgb, axis=-1) + 9 * np.eye(len(rgb))
    assert distance.min() > 0.01


def test_the_window_is_that_of_the_labels_where_they_are_many():
    image = np.zeros((10, 10, 10), np.float32)
    labels = np.zeros(image.shape, np.int32)
    image[5:] = 1000  # bone
    image[2:5] = np.linspace(30, 50, 300).reshape(3, 10, 10)
    labels[2:5] = 1
    low, high = robust_window(image, labels, enough=100)
    assert 25 < low < 30
    assert 50 < high < 55
    assert robust_window(image, labels, enough=301)[1] > 1000
    assert robust_window(image, labels, enough=301)[0] == 0
    assert robust_window(np.full((3, 3), 7.0), np.zeros((3, 3)), 1) == (7.0, 8.0)


def read(png):
    return imread(io.BytesIO(png))


def test_pictures_and_outlines_lie_on_each_other():
    labels = block()
    for size in (57, 64, 96):
        for mosaic in drawn(labels, num_slices=3, size=size):
            picture = read(picture_png(mosaic, ["k 1"] * len(mosaic.slices)))
            outlines = read(outlines_png(mosaic))
            assert picture.shape[:2] == outlines.shape[:2] == mosaic.picture.shape
            assert np.array_equal(outlines[..., 3] > 0, mosaic.outlines[..., 3] > 0)
            # Outside of marks and captions, pixel by pixel.
            same = np.abs(255 * picture[..., 0] - mosaic.picture) < 1
            assert same.mean() > 0.6
            assert not same.all()


def test_marks_stand_left_and_right():
    mosaic = drawn(np.zeros((20, 20, 20), np.int32), size=200)[2]
    black = module.Mosaic("axial", 2, (10,), np.zeros_like(mosaic.picture), mosaic.outlines)
    columns = np.nonzero(read(picture_png(black))[..., 0])[1]
    assert columns.min() < 20
    assert columns.max() > 180
    assert not np.any((columns > 30) & (columns < 170))


def test_a_thumbnail_holds_all_planes():
    found = drawn(block())
    picture = read(thumbnail_png(found))
    assert picture.shape[1] == sum(m.picture.shape[1] for m in found)
    assert picture.shape[0] == max(m.picture.shape[0] for m in found)


def test_a_sheet_takes_any_text(tmp_path):
    found = drawn(block(), num_slices=3)
    captions = [["$a", "b$", "\\frac"][: len(m.slices)] for m in found]
    path = report_sheet(
        found, tmp_path / "a.png", "日本 $x_$ <b>", captions, [("$\\left$", (3, 4))]
    )
    picture = imread(path)
    assert picture.shape[1] > max(m.picture.shape[1] for m in found)
    assert picture.shape[0] > sum(m.picture.shape[0] for m in found)
