"""Figures: files, orientation, aspect ratio, grey scale and errors."""

import gc
import weakref

import numpy as np
import pytest
from matplotlib.image import imread

from synthtf import figures
from synthtf.figures import charts, volumes


@pytest.fixture
def volume():
    """Grey noise of unequal sides, below full brightness."""
    return np.random.default_rng(0).uniform(0.2, 0.6, (20, 24, 16)).astype(np.float32)


def coloured(path):
    """Where a picture has colour: rows and columns relative to its height and width."""
    picture = imread(path)[..., :3]
    hit = np.ptp(picture, axis=-1) > 0.15
    return np.argwhere(hit) / picture.shape[:2], hit


def is_png(path):
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def marked(shape, corner):
    """Label map with one corner filled: per axis -1 (low end), 0 (middle) or 1 (high end)."""
    labels = np.zeros(shape, np.int32)
    parts = {-1: slice(0, 3), 0: slice(None), 1: slice(-3, None)}
    labels[tuple(parts[c] for c in corner)] = 2
    return labels


def test_colours_depend_on_the_value_alone():
    values = [0, 2, 3, 4, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 26, 28]
    values += [41, 42, 43, 46, 47, 49, 50, 51, 52, 53, 54, 58, 60, 165, 258]
    colours = figures.label_colormap(values)
    assert list(colours) == values
    assert colours[0] == (0, 0, 0, 0)
    assert colours[17] == figures.label_colormap(np.full((2, 2), 17))[17]
    rgb = np.array([colours[v] for v in values[1:]])
    assert np.all(rgb[:, 3] == 1)
    distance = np.linalg.norm(rgb[:, None] - rgb, axis=-1) + 9 * np.eye(len(rgb))
    assert distance.min() > 0.05


def test_contact_sheet(tmp_path, volume):
    path = figures.contact_sheet(
        [volume] * 5, tmp_path / "new" / "sheet.png", titles=[f"sample {i}" for i in range(5)]
    )
    assert is_png(path)
    picture = imread(path)
    assert 200 < picture.shape[0] < 2000
    assert 400 < picture.shape[1] < 3000
    assert picture[..., :3].std() > 0.1


def test_contact_sheet_keeps_the_grey_scale(tmp_path):
    dark = imread(figures.contact_sheet([np.full((8, 8), 0.25)], tmp_path / "a.png"))
    bright = imread(figures.contact_sheet([np.full((8, 8), 0.75)], tmp_path / "b.png"))
    for picture, grey in ((dark, 0.25), (bright, 0.75)):
        rows, columns = picture.shape[0] // 3, picture.shape[1] // 2
        np.testing.assert_allclose(picture[rows, columns, :3], grey, atol=0.01)


# Panels from left to right: axial, coronal, sagittal.
@pytest.mark.parametrize(
    ("corner", "panel", "place"),
    [
        ((0, 0, 1), 1, "top"),
        ((0, 0, 1), 2, "top"),
        ((0, 1, 0), 0, "top"),
        ((0, -1, 0), 0, "bottom"),
        ((0, 0, -1), 1, "bottom"),
        ((-1, 0, 0), 0, "left"),
        ((-1, 0, 0), 1, "left"),
        ((1, 0, 0), 1, "right"),
        ((0, 1, 0), 2, "right"),
        ((0, -1, 0), 2, "left"),
    ],
)
def test_contact_sheet_is_upright_with_left_on_the_left(tmp_path, corner, panel, place):
    image = np.full((18, 18, 18), 0.5)
    path = figures.contact_sheet([image], tmp_path / "x.png", labels=[marked(image.shape, corner)])
    places, _ = coloured(path)
    places = places[(places[:, 1] * 3).astype(int) == panel]
    assert len(places) > 50
    row, column = places[:, 0].mean(), places[:, 1].mean() * 3 - panel
    # The caption below shifts the middle of the panels upwards.
    expected = {"top": row < 0.4, "bottom": row > 0.5, "left": column < 0.4, "right": column > 0.6}
    assert expected[place], (row, column)


def test_flat_contact_sheet_is_upright(tmp_path):
    path = figures.contact_sheet(
        [np.full((18, 18, 1), 0.5)], tmp_path / "x.png", labels=[marked((18, 18), (-1, 1))]
    )
    places, _ = coloured(path)
    assert len(places) > 20
    assert np.all(places.mean(0) < 0.4)


def test_contact_sheet_columns(tmp_path):
    images = [np.full((8, 8), 0.5)] * 6
    wide = imread(figures.contact_sheet(images, tmp_path / "a.png", columns=6)).shape
    tall = imread(figures.contact_sheet(images, tmp_path / "b.png", columns=1)).shape
    assert wide[1] > 4 * wide[0] / 2
    assert tall[0] > 4 * tall[1]


def test_overlay_shows_each_plane_upright(tmp_path):
    image = np.random.default_rng(1).uniform(0, 900, (18, 18, 18))
    labels = marked(image.shape, (-1, 1, 1))
    path = figures.overlay(image, labels, tmp_path / "x.png", title="a", num_slices=1)
    places, hit = coloured(path)
    assert is_png(path)
    for row, (right, top) in enumerate([(False, True), (False, True), (True, True)]):
        inside = places[(places[:, 0] * 3).astype(int) == row]
        assert len(inside) > 50
        assert (inside[:, 1].mean() > 0.5) == right
        assert (inside[:, 0].mean() * 3 - row < 0.5) == top
    assert hit.mean() < 0.1


def test_overlay_slices_go_through_the_labels(tmp_path):
    image = np.full((30, 30, 30), 0.5)
    image[0] = 0
    labels = np.zeros(image.shape, np.int32)
    labels[20:26, 3:9, 14:20] = 10
    places, _ = coloured(figures.overlay(image, labels, tmp_path / "x.png", num_slices=4))
    panels = set(zip((places[:, 0] * 3).astype(int), (places[:, 1] * 4).astype(int), strict=True))
    assert len(panels) == 12


def test_overlay_has_the_aspect_ratio_of_the_spacing(tmp_path):
    image = np.linspace(0, 1, 24**3).reshape(24, 24, 24)
    labels = np.ones(image.shape, np.int32)
    path = figures.overlay(image, labels, tmp_path / "x.png", num_slices=1, spacing=(1, 1, 3))
    _, hit = coloured(path)
    coronal = hit[hit.shape[0] // 3 + 10 : 2 * hit.shape[0] // 3 - 10]
    rows, columns = np.flatnonzero(coronal.any(1)), np.flatnonzero(coronal.any(0))
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(3, rel=0.25)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_overlay_of_a_constant_image_without_labels(tmp_path, value):
    image = np.full((6, 6, 6), value)
    assert is_png(figures.overlay(image, np.zeros(image.shape, int), tmp_path / "x.png"))


def test_learning_curve(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("epoch,dice,loss,val_dice,val_loss\n0,.1,2,NA,NA\n1,.5,1,.4,1.5\n2,.6,.5,.5,1\n")
    picture = imread(figures.learning_curve(log, tmp_path / "both.png"))
    log.write_text("epoch,loss\n0,2\n1,1\n")
    alone = imread(figures.learning_curve(log, tmp_path / "loss.png"))
    assert picture.shape[1] > 1.5 * alone.shape[1]
    assert np.ptp(picture[..., :3], axis=-1).max() > 0.5  # coloured lines
    log.write_text("epoch,loss\n0,2\n1,9\n")
    other = imread(figures.learning_curve(log, tmp_path / "other.png"))
    assert np.abs(other - alone).max() > 0.5


def test_what_was_never_measured_is_in_no_legend(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(charts, "save", lambda figure, path: drawn.append(figure))
    log = tmp_path / "log.csv"
    log.write_text("epoch,dice,loss,val_dice,val_dice_T1\n0,.1,2,,\n1,.2,1,NA,.5\n2,.3,1,,\n")
    figures.learning_curve(log, tmp_path / "curve.png")
    legends = [axes.get_legend().get_texts() for axes in drawn[0].axes]
    assert [[text.get_text() for text in texts] for texts in legends] == [
        ["loss"],
        ["dice", "val_dice_T1"],
    ]


def test_dice_bars_grow_with_dice(tmp_path):
    def area(value):
        rows = [("thalamus", "T1", value), ("thalamus", "T2", value), ("caudate", "T1", value)]
        return coloured(figures.dice_table(rows, tmp_path / f"{value}.png"))[1].sum()

    assert area(0.9) > 1.5 * area(0.4)


def test_titles_may_be_any_name_of_a_file(tmp_path, volume):
    labels = (volume > 0.5).astype(int)
    for number, name in enumerate(("M\udcfcller", "a$\\b$c", "x\n$y", "5 $ and 6 $")):
        path = tmp_path / f"{number}.png"
        figures.overlay(volume, labels, path, title=name)
        assert imread(path).ndim == 3
        assert figures.contact_sheet([volume], path, titles=[name]) == path


def test_figures_are_released(tmp_path, monkeypatch, volume):
    made = []
    new_figure = volumes.new_figure

    def remember(*arguments):
        figure = new_figure(*arguments)
        made.append(weakref.ref(figure))
        return figure

    monkeypatch.setattr(volumes, "new_figure", remember)
    for _ in range(3):
        figures.overlay(volume, marked(volume.shape, (0, 0, 1)), tmp_path / "x.png", num_slices=1)
    gc.collect()
    assert len(made) == 3
    assert all(reference() is None for reference in made)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: figures.contact_sheet([], p), "at least one image. Received"),
        (
            lambda p: figures.contact_sheet([np.zeros(3)], p),
            r"2D or 3D.*Received: images with shape \(3,\)",
        ),
        (
            lambda p: figures.contact_sheet([np.zeros((4, 4))], p, titles=["a", "b"]),
            r"`titles` must have one entry per image \(1\). Received: titles with 2",
        ),
        (
            lambda p: figures.contact_sheet([np.zeros((4, 4))], p, columns=0),
            "`columns` must lie in .* Received: columns=0",
        ),
        (
            lambda p: figures.overlay(np.zeros((4, 4, 4)), np.zeros((4, 4, 5)), p),
            r"grid of the image, \(4, 4, 4\). Received: labels with shape \(4, 4, 5\)",
        ),
        (
            lambda p: figures.overlay(np.zeros((4, 4)), np.zeros((4, 4)), p, num_slices=0),
            "`num_slices` must lie in .* Received: num_slices=0",
        ),
        (
            lambda p: figures.overlay(
                np.zeros((4, 4, 4)), np.zeros((4, 4, 4)), p, spacing=(1, -1, 1)
            ),
            "`spacing` must be one or 3 numbers above 0",
        ),
        (lambda p: figures.dice_table([], p), r"Received: rows=\[\]"),
        (lambda p: figures.dice_table([("a", "T1", 1.2)], p), "Received: 1.2 for a in T1"),
    ],
)
def test_errors(tmp_path, call, message):
    with pytest.raises(ValueError, match=message):
        call(tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_learning_curve_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv does not exist"):
        figures.learning_curve(tmp_path / "none.csv", tmp_path / "x.png")
    (tmp_path / "bad.csv").write_text("step,value\n1,2\n")
    with pytest.raises(ValueError, match=r"columns epoch and loss.* Received: \['step', 'value'\]"):
        figures.learning_curve(tmp_path / "bad.csv", tmp_path / "x.png")
