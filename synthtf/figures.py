"""Figures of scans, label maps, learning curves and results, as PNG files.

Volumes are RAS arrays: axis 0 runs from left to right, axis 1 from back to front, axis 2
from bottom to top. All figures use the neurological convention, in which the left of the
picture is the left of the head, and say so. matplotlib is imported when a figure is drawn,
and its global state is not touched.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["contact_sheet", "dice_table", "label_colormap", "learning_curve", "overlay"]

_DPI = 100
_CONVENTION = "Neurological convention: left of the picture is left of the head"
# Of each plane: its name, the axis across it, and the marks left and right of the picture.
_PLANES = (("axial", 2, "L", "R"), ("coronal", 1, "L", "R"), ("sagittal", 0, "P", "A"))


def label_colormap(labels: np.ndarray | Sequence[int]) -> dict[int, tuple[float, ...]]:
    """Give each label value a colour that depends on nothing but the value.

    Args:
        labels: Label map or list of labels, integers of any shape.

    Returns:
        Red, green, blue and alpha in [0, 1] of each value that occurs, in ascending order;
        0, the background, is transparent.

    Example:
        >>> colours = label_colormap([0, 2, 41])
        >>> colours[0]
        (0.0, 0.0, 0.0, 0.0)
        >>> colours[2] == label_colormap([2])[2]
        True
    """
    import colorsys

    colours = {}
    for value in np.unique(np.asarray(labels, np.int64)).tolist():
        # Steps of the golden ratio around the colour wheel keep neighbours far apart.
        hue = (0.1 + value * 0.6180339887) % 1
        saturation = 0.55 + 0.45 * ((value * 0.7548776662) % 1)
        brightness = 0.65 + 0.35 * ((value * 0.5698402910) % 1)
        rgb = colorsys.hsv_to_rgb(hue, saturation, brightness)
        colours[value] = (*rgb, 1.0) if value else (0.0, 0.0, 0.0, 0.0)
    return colours


def contact_sheet(
    images: Sequence[np.ndarray],
    path: str | Path,
    titles: Sequence[str] | None = None,
    labels: Sequence[np.ndarray] | None = None,
    columns: int | None = None,
) -> Path:
    """Draw a grid of images: three orthogonal mid-slices of each volume, or each 2D image.

    The grey scale is fixed: 0 is black and 1 is white.

    Args:
        images: RAS arrays, 2D or 3D; a trailing axis of one channel is dropped.
        path: File to write; its folder is made if absent.
        titles: One per image.
        labels: Label maps to colour the images with, one per image, on the same grid.
        columns: Images per row; by default about as many as rows.

    Returns:
        The path.

    Raises:
        ValueError: If there is no image, or the numbers or shapes do not match.
    """
    images = [_as_spatial(image, "images") for image in images]
    if not images:
        raise ValueError("Expected images to hold at least one image, received none.")
    titles = _matching(titles, len(images), "titles")
    maps = _matching(labels, len(images), "labels")
    num_panels = 3 if any(image.ndim == 3 for image in images) else 1
    if columns is None:
        columns = int(np.ceil(np.sqrt(len(images) / num_panels)))
    if columns < 1:
        raise ValueError(f"Expected columns to be at least 1, received {columns}.")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = _new_figure(1.9 * num_panels * columns, 2.1 * rows + 0.4, "black")
    grid = figure.add_gridspec(rows, columns * num_panels)
    for number, (image, title, label) in enumerate(zip(images, titles, maps, strict=True)):
        label = None if label is None else _same_grid(image, label)
        row, column = divmod(number, columns)
        planes = _PLANES if image.ndim == 3 else _PLANES[:1]
        for offset, plane in enumerate(planes):
            axes = figure.add_subplot(grid[row, column * num_panels + offset])
            _draw_slice(axes, image, label, plane, _middle(image, plane))
            if title is not None and offset == 0:
                axes.set_title(str(title), color="white", fontsize=8, loc="left")
    figure.supxlabel(_CONVENTION, color="white", fontsize=7)
    return _save(figure, path)


def overlay(
    image: np.ndarray,
    labels: np.ndarray,
    path: str | Path,
    title: str | None = None,
    num_slices: int = 5,
    spacing: float | Sequence[float] = (1, 1, 1),
) -> Path:
    """Draw a label map over its image: axial, coronal and sagittal rows of slices.

    The slices are spread evenly over the labelled region. The image is windowed from its
    lowest value to the 99.5th percentile.

    Args:
        image: RAS array, 3D, or 2D for one axial slice.
        labels: Label map on the grid of the image; 0 is not drawn.
        path: File to write; its folder is made if absent.
        title: Title of the figure.
        num_slices: Slices per plane.
        spacing: Voxel size in mm, one number or one per axis, for the aspect ratio.

    Returns:
        The path.

    Raises:
        ValueError: If the shapes do not match or `num_slices` is less than 1.
    """
    image = _as_spatial(image, "image")
    labels = _same_grid(image, labels)
    if num_slices < 1:
        raise ValueError(f"Expected num_slices to be at least 1, received {num_slices}.")
    spacing = _as_spacing(spacing, image.ndim)
    low, high = float(image.min()), float(np.percentile(image, 99.5))
    # A scan whose bright voxels are few still needs a window of some width.
    high = high if high > low else float(image.max())
    image = (image - low) / max(high - low, 1e-12)
    planes = _PLANES if image.ndim == 3 else _PLANES[:1]
    columns = num_slices if image.ndim == 3 else 1
    figure = _new_figure(2.2 * columns + 0.2, 2.3 * len(planes) + 0.7, "black")
    grid = figure.add_gridspec(len(planes), columns)
    for row, plane in enumerate(planes):
        for column, index in enumerate(_slices_through(labels, plane, columns)):
            axes = figure.add_subplot(grid[row, column])
            _draw_slice(axes, image, labels, plane, index, spacing)
    if title:
        figure.suptitle(title, color="white", fontsize=11)
    figure.supxlabel(_CONVENTION, color="white", fontsize=7)
    return _save(figure, path)


def learning_curve(log_csv: str | Path, path: str | Path) -> Path:
    """Draw loss and Dice over the epochs of a training.

    Args:
        log_csv: File of `keras.callbacks.CSVLogger`: `epoch`, `loss` and further columns.
            Those whose names contain "loss" go to one panel, those with "dice" to another.
        path: File to write; its folder is made if absent.

    Returns:
        The path.

    Raises:
        FileNotFoundError: If there is no such log.
        ValueError: If the log has no epoch or no loss column.
    """
    log_csv = Path(log_csv)
    if not log_csv.is_file():
        raise FileNotFoundError(f"Expected the CSV log of a training, found no file {log_csv}.")
    with log_csv.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or "epoch" not in rows[0] or "loss" not in rows[0]:
        raise ValueError(
            f"Expected columns epoch and loss and at least one epoch in {log_csv}, "
            f"received {list(rows[0]) if rows else 'no rows'}; write it with CSVLogger."
        )
    curves = {name: np.array([_as_number(row[name]) for row in rows]) for name in rows[0] if name}
    epochs = curves["epoch"] + 1
    losses = {n: c for n, c in curves.items() if "loss" in n and "dice" not in n}
    scores = {n: c for n, c in curves.items() if "dice" in n}
    from matplotlib.ticker import MaxNLocator

    figure = _new_figure(10 if scores else 5.5, 4, "white")
    panels = [("Loss", losses), ("Dice", scores)] if scores else [("Loss", losses)]
    for number, (name, panel) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), number + 1)
        for label, values in panel.items():
            known = np.isfinite(values)
            axes.plot(epochs[known], values[known], marker="o", markersize=3, label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("Epoch")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
        axes.legend()
        if name == "Dice":
            axes.set_ylim(0, 1)
    return _save(figure, path)


def dice_table(rows: Sequence[tuple[str, str, float]], path: str | Path) -> Path:
    """Draw Dice per structure as bars, one colour per contrast.

    Args:
        rows: (structure, contrast, Dice) triples; structures and contrasts are drawn in
            the order in which they first occur, and several values of a pair averaged.
        path: File to write; its folder is made if absent.

    Returns:
        The path.

    Raises:
        ValueError: If there are no rows, or a Dice is not in [0, 1] or NaN.
    """
    if not rows:
        raise ValueError("Expected rows of (structure, contrast, Dice), received none.")
    values: dict[tuple[str, str], list[float]] = {}
    for structure, contrast, dice in rows:
        if dice < 0 or dice > 1:
            raise ValueError(
                f"Expected Dice in [0, 1] or NaN, received {dice} for {structure} in {contrast}."
            )
        values.setdefault((structure, contrast), []).append(float(dice))
    structures = list(dict.fromkeys(structure for structure, _ in values))
    contrasts = list(dict.fromkeys(contrast for _, contrast in values))
    figure = _new_figure(max(5.0, 1.5 + 0.5 * len(structures)), 4.2, "white")
    axes = figure.add_subplot()
    width = 0.8 / len(contrasts)
    for number, contrast in enumerate(contrasts):
        known = [i for i, s in enumerate(structures) if (s, contrast) in values]
        heights = [np.mean(values[structures[i], contrast]) for i in known]
        places = np.array(known) - 0.4 + (number + 0.5) * width
        axes.bar(places, heights, width, label=contrast)
    axes.set_xticks(range(len(structures)), structures, rotation=45, ha="right", fontsize=8)
    axes.set_ylim(0, 1)
    axes.set_ylabel("Dice")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(ncols=len(contrasts), fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return _save(figure, path)


def _new_figure(width: float, height: float, background: str) -> "Figure":
    # Not pyplot, which keeps every figure alive until it is closed.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, facecolor=background, layout="constrained")


def _save(figure: "Figure", path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=figure.get_facecolor())
    return path


def _draw_slice(
    axes: "Axes",
    image: np.ndarray,
    labels: np.ndarray | None,
    plane: tuple[str, int, str, str],
    index: int,
    spacing: np.ndarray | None = None,
) -> None:
    """Draw one slice, first axis to the right and second axis upwards, with its marks."""
    _, axis, left, right = plane
    spacing = np.ones(image.ndim) if spacing is None else spacing
    across, up = [a for a in range(image.ndim) if image.ndim == 2 or a != axis]
    aspect = spacing[up] / spacing[across]
    view = {"origin": "lower", "interpolation": "nearest", "aspect": aspect}
    axes.imshow(_take(image, axis, index).T, cmap="gray", vmin=0, vmax=1, **view)
    if labels is not None:
        axes.imshow(_paint(_take(labels, axis, index).T, alpha=0.5), **view)
    for x, mark in ((0.01, left), (0.99, right)):
        align = "left" if x < 0.5 else "right"
        place = {"transform": axes.transAxes, "ha": align, "va": "center"}
        axes.text(x, 0.5, mark, color="white", fontsize=7, **place)
    axes.set_axis_off()


def _take(array: np.ndarray, axis: int, index: int) -> np.ndarray:
    return array if array.ndim == 2 else np.take(array, index, axis)


def _middle(image: np.ndarray, plane: tuple[str, int, str, str]) -> int:
    return image.shape[plane[1]] // 2 if image.ndim == 3 else 0


def _paint(labels: np.ndarray, alpha: float) -> np.ndarray:
    """Turn a slice of labels into an RGBA image."""
    values, inverse = np.unique(labels, return_inverse=True)
    colours = np.array(list(label_colormap(values).values()), np.float32)
    colours[:, 3] *= alpha
    return colours[inverse.reshape(labels.shape)]


def _slices_through(
    labels: np.ndarray, plane: tuple[str, int, str, str], num_slices: int
) -> np.ndarray:
    """Evenly spaced slices through the labelled region, or the whole volume if there is none."""
    if labels.ndim == 2:
        return np.zeros(1, int)
    axis = plane[1]
    used = np.flatnonzero(np.any(labels != 0, tuple(a for a in range(3) if a != axis)))
    first, last = (used[0], used[-1]) if used.size else (0, labels.shape[axis] - 1)
    # The outermost slices of a region show next to nothing: stay half a step inside.
    fractions = (np.arange(num_slices) + 0.5) / num_slices
    return np.round(first + fractions * (last - first)).astype(int)


def _as_spatial(array: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(array)
    if array.ndim in (3, 4) and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or not array.size:
        raise ValueError(
            f"Expected {name} to be 2D or 3D, with one channel at most, "
            f"received shape {array.shape}; pass one sample, not a batch."
        )
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _same_grid(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    labels = _as_spatial(labels, "labels")
    if labels.shape != image.shape:
        raise ValueError(
            f"Expected labels on the grid of the image, {image.shape}, received {labels.shape}."
        )
    return labels.astype(np.int64)


def _as_spacing(spacing: float | Sequence[float], ndim: int) -> np.ndarray:
    values = np.asarray(spacing, float).ravel()
    values = np.repeat(values, ndim) if values.size == 1 else values[:ndim]
    if values.size != ndim or not np.all(values > 0):
        raise ValueError(
            f"Expected spacing to be one or {ndim} numbers above 0, in mm, received {spacing}."
        )
    return values


def _matching(values: Sequence | None, num: int, name: str) -> Sequence:
    if values is None:
        return [None] * num
    if len(values) != num:
        raise ValueError(
            f"Expected {name} to have one entry per image, {num}, received {len(values)}."
        )
    return values


def _as_number(text: str | None) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):  # CSVLogger writes NA for epochs without validation
        return float("nan")
