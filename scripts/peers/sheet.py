"""A picture of one sample of each generator."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def draw_sheet(slices: Mapping[str, Path], path: str | Path) -> None:
    """Draw slices side by side, black to white from the lowest to the highest intensity.

    Args:
        slices: NPY files by name; those that are not there are left out.
        path: the picture.
    """
    from synthtf.figures.drawing import new_figure, save

    found = {name: np.load(file) for name, file in slices.items() if file.exists()}
    figure = new_figure(2.6 * len(found), 2.9, "white")
    for axes, (name, image) in zip(figure.subplots(1, len(found)).flat, found.items(), strict=True):
        axes.imshow(image.T, cmap="gray", origin="lower")
        axes.set_title(name)
        axes.set_axis_off()
    save(figure, path)
