"""Pictures of registrations."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthtf.figures.drawing import (
    CONVENTION,
    PLANES,
    as_spacing,
    as_spatial,
    middle,
    new_figure,
    same_shape,
    save,
    show,
    take,
    windowed,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIELDS = 8  # number of fields of the checkerboard along the longest axis
_LINES = 10.0  # mm between the lines of the grid
_RANGE = 2.0  # range of the colours: from a half to twice the volume


def registration(
    fixed: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    path: str | Path,
    coordinates: np.ndarray | None = None,
    title: str | None = None,
    spacing: float | Sequence[float] = (1, 1, 1),
) -> Path:
    """Draw how well two images agree before and after registration, and the deformation.

    One row per plane: checkerboards of the fixed and the moving image before and after. With
    `coordinates`, each row also shows the deformation as a grid of the moving image on the fixed
    image, 10 mm between lines, and the Jacobian determinant, the local change of volume, with
    folds in black. Each image is windowed from its lowest value to its 99.5th percentile.

    Args:
        fixed: RAS array, 2D or 3D.
        before: moving image on the grid of the fixed image, before registration.
        after: moving image on the grid of the fixed image, after registration.
        path: file to write; its folder is made if absent.
        coordinates: place in the moving image that each voxel comes from, `(*spatial, ndim)`, in
            mm along the axes of the array. Default: no deformation is drawn.
        title: title of the figure. Default: none.
        spacing: mm per voxel, a scalar or one per axis.

    Returns:
        The path.

    Raises:
        ValueError: if the shapes do not match.
    """
    fixed = as_spatial(fixed, "fixed")
    spacing = as_spacing(spacing, fixed.ndim)
    fixed, before, after = (
        windowed(same_shape(fixed, image, name))
        for image, name in ((fixed, "fixed"), (before, "before"), (after, "after"))
    )
    boards = {"before": _checkerboard(fixed, before), "after": _checkerboard(fixed, after)}
    jacobian = None
    if coordinates is not None:
        coordinates = np.asarray(coordinates, np.float64)
        if coordinates.shape != (*fixed.shape, fixed.ndim):
            raise ValueError(
                f"`coordinates` must have the shape {(*fixed.shape, fixed.ndim)}. "
                f"Received: coordinates with shape {coordinates.shape}"
            )
        jacobian = _jacobian(coordinates, spacing)
    planes = PLANES if fixed.ndim == 3 else PLANES[:1]
    columns = 2 if jacobian is None else 4
    figure = new_figure(2.6 * columns + 0.3, 2.8 * len(planes) + 0.7, "black")
    grid = figure.add_gridspec(len(planes), columns)
    for row, plane in enumerate(planes):
        panels = [figure.add_subplot(grid[row, column]) for column in range(columns)]
        names = [*boards, "grid, 10 mm", "Jacobian determinant"][:columns]
        for axes, name in zip(panels, names, strict=True):
            if row == 0:
                axes.set_title(name, color="white", fontsize=9)
        index = middle(fixed, plane)
        for axes, board in zip(panels, boards.values(), strict=False):
            show(axes, take(board, plane[1], index), plane, spacing, cmap="gray", vmin=0, vmax=1)
        if jacobian is not None:
            _draw_grid(panels[2], fixed, coordinates, plane, index, spacing)
            picture = _draw_jacobian(panels[3], take(jacobian, plane[1], index), plane, spacing)
    if jacobian is not None:
        bar = figure.colorbar(picture, ax=panels[3], location="bottom", shrink=0.8, aspect=30)
        bar.set_ticks([-1, 0, 1], labels=["0.5", "1", "2"])
        bar.ax.tick_params(colors="white", labelsize=7)
    if title:
        figure.suptitle(title, color="white", fontsize=11)
    figure.supxlabel(CONVENTION, color="white", fontsize=7)
    return save(figure, path)


def _checkerboard(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    size = max(1, -(-max(fixed.shape) // _FIELDS))
    fields = sum(np.meshgrid(*[np.arange(n) // size for n in fixed.shape], indexing="ij"))
    return np.where(fields % 2 == 0, fixed, moving)


def _jacobian(coordinates: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    ndim = coordinates.shape[-1]
    rows = [np.gradient(coordinates[..., i], *spacing) for i in range(ndim)]
    return np.linalg.det(np.stack([np.stack(row, -1) for row in rows], -2))


def _draw_grid(
    axes: "Axes",
    fixed: np.ndarray,
    coordinates: np.ndarray,
    plane: tuple[str, int, str, str],
    index: int,
    spacing: np.ndarray,
) -> None:
    show(axes, take(fixed, plane[1], index), plane, spacing, cmap="gray", vmin=0, vmax=1)
    for axis in range(fixed.ndim):
        if fixed.ndim == 3 and axis == plane[1]:
            continue
        values = take(coordinates[..., axis], plane[1], index).T
        levels = np.arange(np.floor(values.min() / _LINES), values.max() / _LINES + 1) * _LINES
        axes.contour(values, levels=levels, colors="yellow", linewidths=0.6, linestyles="solid")


def _draw_jacobian(
    axes: "Axes", values: np.ndarray, plane: tuple[str, int, str, str], spacing: np.ndarray
) -> object:
    from matplotlib import colormaps

    colours = colormaps["RdBu"].with_extremes(bad="black")
    logs = np.log2(np.where(values > 0, values, np.nan))
    limit = np.log2(_RANGE)
    return show(axes, logs, plane, spacing, cmap=colours, vmin=-limit, vmax=limit)
