"""Mosaics: slices of a scan side by side, with the outlines of its labels, as PNG pictures.

Unlike the other figures, mosaics are made pixel by pixel. A picture of outlines therefore lies
exactly on the picture of the scan, and can be shown or hidden.
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthtf.figures.drawing import (
    CONVENTION,
    PLANES,
    as_spacing,
    as_spatial,
    label_colormap,
    new_figure,
    painted,
    same_grid,
    slices_through,
    take_names_as_they_are,
)
from synthtf.ranges import as_whole

_DPI = 100
_GAP = 4  # pixels between slices
_MAX_COLUMNS = 12
_LUMINANCE = (0.2126, 0.7152, 0.0722)
_BRIGHT, _VIVID = 0.35, 0.7  # smallest luminance and saturation of a line
_ORDER = {"sagittal": "left to right", "coronal": "back to front", "axial": "bottom to top"}


def outline_colours(labels: np.ndarray | Sequence[int]) -> dict[int, tuple[float, ...]]:
    """Return a colour for each label value, vivid enough for thin lines on grey.

    Args:
        labels: label map or list of labels, integers of any shape.

    Returns:
        Red, green, blue and alpha in [0, 1] for each value that occurs, in ascending order, with
        the hues of `label_colormap`.

    Example:
        >>> [round(part, 2) for part in outline_colours([1])[1]]
        [0.48, 0.25, 1.0, 1.0]
    """
    import colorsys

    colours = label_colormap(labels)
    for value, (*rgb, alpha) in colours.items():
        if not alpha:
            continue
        hue, saturation, _ = colorsys.rgb_to_hsv(*rgb)
        vivid = colorsys.hsv_to_rgb(hue, max(saturation, _VIVID), 1.0)
        luminance = float(np.dot(_LUMINANCE, vivid))
        white = max(0.0, (_BRIGHT - luminance) / (1 - luminance))
        colours[value] = (*(part + white * (1 - part) for part in vivid), alpha)
    return colours


@dataclass(frozen=True, eq=False)
class Mosaic:
    """Slices of one plane in a row.

    Attributes:
        plane: "sagittal", "coronal" or "axial".
        axis: axis of the volume across the plane.
        slices: index of each slice along that axis.
        picture: `(height, width)` uint8, the slices in grey.
        outlines: `(height, width, 4)` uint8, outlines in the colours of the labels, else
            transparent; or the labels, half transparent.
    """

    plane: str
    axis: int
    slices: tuple[int, ...]
    picture: np.ndarray
    outlines: np.ndarray

    @property
    def order(self) -> str:
        """Direction of the slices, in words."""
        return _ORDER[self.plane]

    @property
    def merged(self) -> np.ndarray:
        """`(height, width, 3)` uint8, the outlines on the slices."""
        share = self.outlines[..., 3:] / 255
        mixed = share * self.outlines[..., :3] + (1 - share) * self.picture[..., None]
        return np.round(mixed).astype(np.uint8)


def mosaics(
    image: np.ndarray,
    labels: np.ndarray,
    spacing: float | Sequence[float] = (1, 1, 1),
    *,
    window: tuple[float, float],
    num_slices: int = 6,
    size: int = 320,
    filled: bool = False,
) -> list[Mosaic]:
    """Draw slices through the labelled region in the three planes.

    Voxels are drawn without interpolation. The widest plane gets `num_slices` slices, and narrower
    planes get as many as fit the same width.

    Args:
        image: RAS array, 3D, or 2D for one axial slice.
        labels: label map on the grid of the image; 0 is not drawn.
        spacing: mm per voxel, a scalar or one per axis.
        window: intensities drawn in black and in white.
        num_slices: number of slices of the widest plane, evenly spaced.
        size: pixels along the longest axis of the volume.
        filled: fill the labels, for small pictures, instead of outlining them. Default False.

    Returns:
        Sagittal, coronal and axial mosaic. A volume one voxel thick has no mosaic for planes that
        show only a line of it.

    Raises:
        ValueError: if the shapes do not match, the window is empty, or a number is below 1.
    """
    image = as_spatial(image, "image")
    labels = same_grid(image, labels)
    if image.ndim == 2:
        image, labels = image[..., None], labels[..., None]
    low, high = window
    num_slices, size = as_whole(num_slices, "num_slices", 1), as_whole(size, "size", 1)
    if not high > low:
        raise ValueError(
            f"`window` must be (low, high) with low < high. Received: window={window!r}"
        )
    extent = as_spacing(spacing, 3) * image.shape
    pixels = np.maximum(1, np.round(extent * size / extent.max())).astype(int)
    # The outline of a single label has room to be twice as wide.
    wide = np.count_nonzero(np.unique(labels)) == 1
    planes = [p for p in reversed(PLANES) if min(np.delete(image.shape, p[1])) > 1] or PLANES[:1]
    width = num_slices * max(int(np.delete(pixels, p[1])[0]) + _GAP for p in planes)
    found = []
    for plane in planes:
        across, up = np.delete(pixels, plane[1]).tolist()
        columns = min(_MAX_COLUMNS, width // (across + _GAP)) if num_slices > 1 else 1
        slices = np.unique(slices_through(labels, plane, columns)).tolist()
        grey, lines = [], []
        for index in slices:
            values = _enlarged(image, plane[1], index, across, up)
            grey.append(np.clip((values - low) / (high - low), 0, 1) * 255)
            slice_labels = _enlarged(labels, plane[1], index, across, up)
            drawn = slice_labels if filled else _outlines(slice_labels, wide)
            colours = painted(drawn, 0.5 if filled else 1.0, outline_colours(drawn))
            lines.append(np.round(255 * colours))
        picture, outlines = _side_by_side(grey), _side_by_side(lines)
        found.append(Mosaic(plane[0], plane[1], tuple(slices), picture, outlines))
    return found


def robust_window(image: np.ndarray, labels: np.ndarray, enough: int) -> tuple[float, float]:
    """Choose the intensities to draw in black and in white in the picture of a scan.

    These are the 0.5th and the 99.5th percentile within the labels, which cover the brain and
    not air, bone or scalp. A tenth of their distance is added on both sides, but not below the
    lowest intensity. With too few labelled voxels, as for lesions, the percentiles are those of
    all voxels above the lowest intensity.

    Args:
        image: array of any shape.
        labels: label map of the same shape.
        enough: smallest number of labelled voxels to use.

    Returns:
        Two intensities, the second larger.

    Example:
        >>> image = np.arange(1001.0)
        >>> robust_window(image, image >= 500, 100)
        (453.0, 1047.0)
    """
    inside = image[labels != 0]
    if inside.size < max(1, enough) or inside.min() == inside.max():
        above = image[image > image.min()]
        inside = above if above.size else image
    low, high = (float(value) for value in np.percentile(inside, (0.5, 99.5)))
    margin = 0.1 * (high - low) or 1.0
    return max(low - margin, float(image.min())), high + margin


def picture_png(mosaic: Mosaic, captions: Sequence[str] = ()) -> bytes:
    """Encode the slices of a mosaic without outlines, each with its direction marks.

    Args:
        mosaic: the mosaic.
        captions: text in the corner of each slice. Default: none.

    Returns:
        PNG file with the size of the mosaic.
    """
    height, width = mosaic.picture.shape
    # A hundredth of a pixel more, since matplotlib rounds down to whole pixels.
    figure = new_figure((width + 0.01) / _DPI, (height + 0.01) / _DPI, "black")
    figure.figimage(mosaic.picture, cmap="gray", vmin=0, vmax=255, origin="upper")
    _mark(figure, mosaic, captions)
    return _encoded(figure)


def outlines_png(mosaic: Mosaic) -> bytes:
    """Encode the outlines of a mosaic on a transparent background, as a PNG file of its size."""
    return _array_png(mosaic.outlines)


def thumbnail_png(found: Sequence[Mosaic]) -> bytes:
    """Encode mosaics with their outlines side by side, as a small PNG file without marks.

    Args:
        found: mosaics, at least one.

    Returns:
        The PNG file.
    """
    height = max(m.picture.shape[0] for m in found)
    tiles = []
    for mosaic in found:
        above = (height - mosaic.picture.shape[0]) // 2
        below = height - mosaic.picture.shape[0] - above
        tiles.append(np.pad(mosaic.merged, ((above, below), (0, 0), (0, 0))))
    return _array_png(np.concatenate(tiles, axis=1))


def report_sheet(
    found: Sequence[Mosaic],
    path: str | Path,
    title: str,
    captions: Sequence[Sequence[str]],
    lines: Sequence[tuple[str, Sequence[int]]],
) -> Path:
    """Draw mosaics with their outlines, and lines of text beside them.

    Args:
        found: mosaics, at least one.
        path: file to write.
        title: title of the figure.
        captions: for each mosaic, the text in the corner of each slice.
        lines: lines of text in a monospaced font, each with the labels whose colours precede it.

    Returns:
        The path.
    """
    width = max(m.picture.shape[1] for m in found)
    height = sum(m.picture.shape[0] + _GAP for m in found)
    margin, line_height = 48, 17
    text_width = 72 + 8 * max((len(text) for text, _ in lines), default=0)
    total = max(height, line_height * len(lines) + margin) + 2 * margin
    figure = new_figure((width + text_width) / _DPI, total / _DPI, "black")
    top = total - margin
    write = {"color": "white", "va": "top", "parse_math": False}
    figure.text(8 / (width + text_width), 1 - 12 / total, title, fontsize=13, **write)
    for mosaic, texts in zip(found, captions, strict=True):
        bottom = top - mosaic.picture.shape[0]
        figure.figimage(mosaic.merged, xo=0, yo=bottom, origin="upper")
        _mark(figure, mosaic, texts, bottom)
        top = bottom - _GAP
    note = f"{CONVENTION}. {_orders(found)}"
    figure.text(8 / (width + text_width), 30 / total, note, fontsize=8, **write)
    colours = outline_colours([label for _, labels in lines for label in labels])
    for number, (text, labels) in enumerate(lines):
        y = 1 - (margin + number * line_height) / total
        for place, label in enumerate(labels):
            x = (width + 16 + 14 * place) / (width + text_width)
            figure.text(x, y, "■", fontsize=9, **{**write, "color": colours[label]})
        x = (width + 48) / (width + text_width)
        figure.text(x, y, text, fontsize=9, family="monospace", **write)
    Path(path).write_bytes(_encoded(figure))
    return Path(path)


def _orders(found: Sequence[Mosaic]) -> str:
    return "; ".join(f"{m.plane}: {m.order}" for m in found) + "."


def _enlarged(array: np.ndarray, axis: int, index: int, across: int, up: int) -> np.ndarray:
    """Enlarge one slice by nearest neighbour, as rows from top to bottom."""
    values = np.take(array, index, axis)
    columns, rows = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip((across, up), values.shape, strict=True)
    )
    return values[np.ix_(columns, rows)].T[::-1]


def _outlines(labels: np.ndarray, wide: bool) -> np.ndarray:
    """Keep the pixels of each label that touch another label or the background."""
    edge = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        first, last = (
            tuple(part if a == axis else slice(None) for a in (0, 1))
            for part in (slice(None, -1), slice(1, None))
        )
        differs = labels[first] != labels[last]
        edge[first] |= differs
        edge[last] |= differs
    if wide:
        from scipy import ndimage

        edge = ndimage.binary_dilation(edge)
    return np.where(edge, labels, 0)


def _side_by_side(tiles: Sequence[np.ndarray]) -> np.ndarray:
    gap = [(0, 0), (_GAP // 2, _GAP - _GAP // 2), (0, 0)]
    return np.concatenate([np.pad(t, gap[: t.ndim]) for t in tiles], axis=1).astype(np.uint8)


def _mark(figure: object, mosaic: Mosaic, captions: Sequence[str], bottom: float = 0) -> None:
    """Write directions and captions onto the slices of a mosaic in a figure."""
    marks = next(plane[2:] for plane in PLANES if plane[0] == mosaic.plane)
    width, height = figure.get_size_inches() * _DPI
    rows, columns = mosaic.picture.shape
    tile = columns / len(mosaic.slices)
    style = {"color": "white", "fontsize": 11, "parse_math": False}
    middle = (bottom + rows / 2) / height
    for number in range(len(mosaic.slices)):
        left, right = number * tile + 5, (number + 1) * tile - 5
        figure.text(left / width, middle, marks[0], va="center", **style)
        figure.text(right / width, middle, marks[1], va="center", ha="right", **style)
        if captions:
            corner = left / width, (bottom + rows - 4) / height
            figure.text(*corner, captions[number], va="top", **{**style, "color": "0.7"})


def _encoded(figure: object) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # Characters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        take_names_as_they_are(figure)
        figure.savefig(stream, format="png", facecolor=figure.get_facecolor())
    return stream.getvalue()


def _array_png(array: np.ndarray) -> bytes:
    from matplotlib.image import imsave

    stream = io.BytesIO()
    imsave(stream, array, format="png")
    return stream.getvalue()
