"""Pictures of images and label maps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synthtf.figures.drawing import (
    CONVENTION,
    PLANES,
    as_spacing,
    as_spatial,
    draw_slice,
    middle,
    new_figure,
    same_grid,
    save,
    slices_through,
    windowed,
)
from synthtf.ranges import as_whole

_LINE = 0.14  # height of a line of a title, in inches


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
        path: file to write; its folder is made if absent.
        titles: one per image, with one or several lines. Default: none.
        labels: label maps to colour the images with, one per image, on the same grid. Default:
            none.
        columns: number of images per row. Default: about as many as rows.

    Returns:
        The path.

    Raises:
        ValueError: if there is no image, or the numbers or shapes do not match.
    """
    images = [as_spatial(image, "images") for image in images]
    if not images:
        raise ValueError("`images` must hold at least one image. Received: images=[]")
    titles = _matching(titles, len(images), "titles")
    maps = _matching(labels, len(images), "labels")
    num_panels = 3 if any(image.ndim == 3 for image in images) else 1
    if columns is None:
        columns = int(np.ceil(np.sqrt(len(images) / num_panels)))
    columns = min(as_whole(columns, "columns", 1), len(images))
    rows = -(-len(images) // columns)
    lines = max(str(title or "").count("\n") + 1 for title in titles)
    height = 2.1 + _LINE * (lines - 1)
    figure = new_figure(1.9 * num_panels * columns, height * rows + 0.4, "black")
    grid = figure.add_gridspec(rows, columns * num_panels)
    for number, (image, title, label) in enumerate(zip(images, titles, maps, strict=True)):
        label = None if label is None else same_grid(image, label)
        row, column = divmod(number, columns)
        planes = PLANES if image.ndim == 3 else PLANES[:1]
        for offset, plane in enumerate(planes):
            axes = figure.add_subplot(grid[row, column * num_panels + offset])
            draw_slice(axes, image, label, plane, middle(image, plane))
            if title is not None and offset == 0:
                axes.set_title(str(title), color="white", fontsize=8, loc="left")
    figure.supxlabel(CONVENTION, color="white", fontsize=7)
    return save(figure, path)


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
        labels: label map on the grid of the image; 0 is not drawn.
        path: file to write; its folder is made if absent.
        title: title of the figure.
        num_slices: number of slices per plane.
        spacing: mm per voxel, a scalar or one per axis, for the aspect ratio.

    Returns:
        The path.

    Raises:
        ValueError: if the shapes do not match or `num_slices` is below 1.
    """
    image = as_spatial(image, "image")
    labels = same_grid(image, labels)
    num_slices = as_whole(num_slices, "num_slices", 1)
    spacing = as_spacing(spacing, image.ndim)
    image = windowed(image)
    planes = PLANES if image.ndim == 3 else PLANES[:1]
    columns = num_slices if image.ndim == 3 else 1
    figure = new_figure(2.2 * columns + 0.2, 2.3 * len(planes) + 0.7, "black")
    grid = figure.add_gridspec(len(planes), columns)
    for row, plane in enumerate(planes):
        for column, index in enumerate(slices_through(labels, plane, columns)):
            axes = figure.add_subplot(grid[row, column])
            draw_slice(axes, image, labels, plane, index, spacing)
    if title:
        figure.suptitle(title, color="white", fontsize=11)
    figure.supxlabel(CONVENTION, color="white", fontsize=7)
    return save(figure, path)


def _matching(values: Sequence | None, num: int, name: str) -> Sequence:
    if values is None:
        return [None] * num
    if len(values) != num:
        raise ValueError(
            f"`{name}` must have one entry per image ({num}). "
            f"Received: {name} with {len(values)} entries"
        )
    return values
