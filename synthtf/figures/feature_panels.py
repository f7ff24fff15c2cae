"""Features of several images of one anatomy, side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from synthtf.figures.drawing import new_figure, save


def features(
    slices: Mapping[str, np.ndarray],
    names: Sequence[str],
    correlations: Mapping[str, float],
    path: str | Path,
) -> Path:
    """Draw a channel of some layers for each image, and how alike the images are in all layers.

    Args:
        slices: name of a layer to a slice of one channel per image, `(images, x, y)`.
        names: names of the images, a row each.
        correlations: name of each layer to the mean correlation over pairs of images.
        path: file to write; its folder is made if absent.

    Returns:
        The path.

    Raises:
        ValueError: if there is not one slice per image.
    """
    for name, shown in slices.items():
        if len(shown) != len(names):
            raise ValueError(
                f"`slices` must have one slice per image, {len(names)}. "
                f"Received: {len(shown)} of {name}"
            )
    rows = len(names)
    figure = new_figure(max(7.0, 1.5 * len(slices)), 1.7 * rows + 3.0, "white")
    grid = figure.add_gridspec(rows + 1, len(slices), height_ratios=[*[1.7] * rows, 3.0])
    for column, (layer, shown) in enumerate(slices.items()):
        # One scale for all images: what differs between them is to be seen.
        low, high = np.percentile(shown, (0.5, 99.5))
        for row, name in enumerate(names):
            axes = figure.add_subplot(grid[row, column])
            scale = {"vmin": low, "vmax": max(high, low + 1e-12)}
            axes.imshow(shown[row].T, cmap="gray", origin="lower", **scale)
            axes.set_xticks([])
            axes.set_yticks([])
            if row == 0:
                axes.set_title(layer, fontsize=8)
            if column == 0:
                axes.set_ylabel(name, fontsize=8)
    axes = figure.add_subplot(grid[rows, :])
    axes.plot(range(len(correlations)), list(correlations.values()), marker="o", markersize=3)
    axes.set_xticks(range(len(correlations)), list(correlations), rotation=60, ha="right")
    axes.tick_params(axis="x", labelsize=7)
    axes.set_ylabel("Correlation of features\nover pairs of images", fontsize=8)
    axes.set_ylim(min(0.0, *correlations.values()), 1.02)
    axes.grid(alpha=0.3)
    return save(figure, path)
