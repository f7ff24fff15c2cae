"""Drawing of slices, colours and files for all figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 100
CONVENTION = "Neurological convention: left of the picture is left of the head"
# For each plane: its name, the axis across it, and the marks left and right of the picture.
PLANES = (("axial", 2, "L", "R"), ("coronal", 1, "L", "R"), ("sagittal", 0, "P", "A"))


def label_colormap(labels: np.ndarray | Sequence[int]) -> dict[int, tuple[float, ...]]:
    """Return a colour for each label value, which depends on the value alone.

    Args:
        labels: label map or list of labels, integers of any shape.

    Returns:
        Red, green, blue and alpha in [0, 1] for each value that occurs, in ascending order;
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


def new_figure(width: float, height: float, background: str) -> "Figure":
    """Make an empty figure of a size in inches."""
    # pyplot would keep every figure alive until it is closed.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, facecolor=background, layout="constrained")


def save(figure: "Figure", path: str | Path) -> Path:
    """Write a figure, and make its folder if absent."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    take_names_as_they_are(figure)
    figure.savefig(path, facecolor=figure.get_facecolor())
    return path


def take_names_as_they_are(figure: "Figure") -> None:
    """Let the texts of a figure hold any name of a file: $ is no formula, and bytes are no text."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        words = text.get_text()
        if "$" in words and "\\math" not in words:  # which matplotlib itself writes at axes
            text.set_parse_math(False)
        text.set_text(words.encode("utf-8", "replace").decode())


def draw_slice(
    axes: "Axes",
    image: np.ndarray,
    labels: np.ndarray | None,
    plane: tuple[str, int, str, str],
    index: int,
    spacing: np.ndarray | None = None,
) -> None:
    """Draw one slice of an image in [0, 1], with its labels and marks."""
    axis = plane[1]
    spacing = np.ones(image.ndim) if spacing is None else spacing
    show(axes, take(image, axis, index), plane, spacing, cmap="gray", vmin=0, vmax=1)
    if labels is not None:
        axes.imshow(painted(take(labels, axis, index).T, alpha=0.5), **_view(plane, spacing))


def show(
    axes: "Axes",
    values: np.ndarray,
    plane: tuple[str, int, str, str],
    spacing: np.ndarray,
    **colours: object,
) -> object:
    """Draw a slice, first axis to the right and second axis upwards, with its marks."""
    picture = axes.imshow(values.T, **_view(plane, spacing), **colours)
    for x, mark in ((0.01, plane[2]), (0.99, plane[3])):
        align = "left" if x < 0.5 else "right"
        place = {"transform": axes.transAxes, "ha": align, "va": "center"}
        axes.text(x, 0.5, mark, color="white", fontsize=7, **place)
    axes.set_axis_off()
    return picture


def _view(plane: tuple[str, int, str, str], spacing: np.ndarray) -> dict[str, object]:
    across, up = [a for a in range(len(spacing)) if len(spacing) == 2 or a != plane[1]]
    aspect = spacing[up] / spacing[across]
    return {"origin": "lower", "interpolation": "nearest", "aspect": aspect}


def windowed(image: np.ndarray) -> np.ndarray:
    """Map the lowest value to 0 and the 99.5th percentile to 1; higher values are white."""
    low, high = float(image.min()), float(np.percentile(image, 99.5))
    # A scan with few bright voxels still needs a window of some width.
    high = high if high > low else float(image.max())
    return (image - low) / max(high - low, 1e-12)


def take(array: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Return one slice of a 3D array, or the whole 2D array."""
    return array if array.ndim == 2 else np.take(array, index, axis)


def middle(image: np.ndarray, plane: tuple[str, int, str, str]) -> int:
    """Return the index of the middle slice of a plane."""
    return image.shape[plane[1]] // 2 if image.ndim == 3 else 0


def slices_through(
    labels: np.ndarray, plane: tuple[str, int, str, str], num_slices: int
) -> np.ndarray:
    """Return evenly spaced slices through the labelled region, or through the whole volume."""
    if labels.ndim == 2:
        return np.zeros(1, int)
    axis = plane[1]
    used = np.flatnonzero(np.any(labels != 0, tuple(a for a in range(3) if a != axis)))
    first, last = (used[0], used[-1]) if used.size else (0, labels.shape[axis] - 1)
    # The outermost slices of a region show little: stay half a step inside.
    fractions = (np.arange(num_slices) + 0.5) / num_slices
    return np.round(first + fractions * (last - first)).astype(int)


def as_spatial(array: np.ndarray, name: str) -> np.ndarray:
    """Check that an array is 2D or 3D; drop an axis of one channel."""
    array = np.asarray(array)
    if array.ndim in (3, 4) and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or not array.size:
        raise ValueError(
            f"`{name}` must be one 2D or 3D sample, not a batch, with at most one channel. "
            f"Received: {name} with shape {array.shape}"
        )
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def same_grid(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Check that labels are on the grid of the image."""
    return same_shape(image, labels, "labels").astype(np.int64)


def same_shape(image: np.ndarray, other: np.ndarray, name: str) -> np.ndarray:
    """Check that an array is on the grid of the image."""
    other = as_spatial(other, name)
    if other.shape != image.shape:
        raise ValueError(
            f"`{name}` must be on the grid of the image, {image.shape}. "
            f"Received: {name} with shape {other.shape}"
        )
    return other


def as_spacing(spacing: float | Sequence[float], ndim: int) -> np.ndarray:
    """Check a voxel size in mm, a scalar or one per axis."""
    values = np.asarray(spacing, float).ravel()
    values = np.repeat(values, ndim) if values.size == 1 else values[:ndim]
    if values.size != ndim or not np.all(values > 0):
        raise ValueError(
            f"`spacing` must be one or {ndim} numbers above 0, in mm. Received: spacing={spacing}"
        )
    return values


def painted(
    labels: np.ndarray, alpha: float, colours: Mapping[int, tuple[float, ...]] | None = None
) -> np.ndarray:
    """Turn a slice of labels into an RGBA image in [0, 1]; see `label_colormap`."""
    values, inverse = np.unique(labels, return_inverse=True)
    known = label_colormap(values) if colours is None else colours
    table = np.array([known[value] for value in values.tolist()])
    table[:, 3] *= alpha
    return table[inverse.reshape(labels.shape)]
