"""Comparing label maps: overlap, distance between surfaces, volumes."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from synthtf.data.grid import check_same_grid
from synthtf.data.label_table import LabelTable
from synthtf.data.volumes import Volume
from synthtf.evaluation.averages import CENTRE_LINES
from synthtf.evaluation.centre_lines import centre_line_dice

# Counting into bins is 20 times faster than sorting; FreeSurfer's labels reach 14175.
_BINS = 2**16


def dice(a: np.ndarray, b: np.ndarray, labels: Sequence[int]) -> dict[int, float]:
    """Measure the overlap of two label maps.

    Args:
        a: Label map, of integers.
        b: Label map of the same shape.
        labels: Labels to compare.

    Returns:
        Label to twice the shared voxels divided by the sum of both; NaN if neither has the label.

    Raises:
        ValueError: If the shapes differ, or if one is not of integers.
    """
    _check_maps(a, b)
    count_a, count_b, shared = _counts(a), _counts(b), _counts(a[a == b])
    found = {}
    for label in map(int, labels):
        total = count_a.get(label, 0) + count_b.get(label, 0)
        found[label] = 2 * shared.get(label, 0) / total if total else float("nan")
    return found


def volumes(
    label_map: np.ndarray, spacing: Sequence[float], labels: Sequence[int]
) -> dict[int, float]:
    """Measure the volume of each structure.

    Args:
        label_map: Integers of shape `(*spatial,)`.
        spacing: Size of the voxels per axis, in mm.
        labels: Labels to measure.

    Returns:
        Label to the number of voxels times their size, in mm³ (mm² in 2D).

    Raises:
        ValueError: If there is not one spacing per axis.
    """
    _check_spacing(label_map, spacing)
    count = _counts(label_map)
    size = float(np.prod(spacing))
    return {int(label): count.get(int(label), 0) * size for label in labels}


def hausdorff95(a: np.ndarray, b: np.ndarray, label: int, spacing: Sequence[float]) -> float:
    """Measure the 95th percentile of the distance between the surfaces of a structure.

    Surface voxels are those with a face outside of the structure. Distances run from the surface
    voxels of one label map to the nearest of the other; of both directions the larger percentile
    counts.

    Args:
        a: Label map, of integers.
        b: Label map of the same shape.
        label: Label to compare.
        spacing: Size of the voxels per axis, in mm.

    Returns:
        Distance in mm; NaN if a label map lacks the label.

    Raises:
        ValueError: If the shapes or types do not fit, or there is not one spacing per axis.
    """
    _check_maps(a, b)
    _check_spacing(a, spacing)
    in_a, in_b = a == label, b == label
    if not in_a.any() or not in_b.any():
        return float("nan")
    box = ndimage.find_objects((in_a | in_b).astype("uint8"))[0]
    surface_a, surface_b = _surface(in_a[box]), _surface(in_b[box])
    to_a = ndimage.distance_transform_edt(~surface_a, sampling=spacing)
    to_b = ndimage.distance_transform_edt(~surface_b, sampling=spacing)
    return float(max(np.percentile(to_b[surface_a], 95), np.percentile(to_a[surface_b], 95)))


def evaluate(
    prediction: Volume, reference: Volume, table: LabelTable, centre_lines: bool = False
) -> list[dict[str, int | str | float]]:
    """Compare a segmentation with a reference on the same grid.

    Args:
        prediction: Label map.
        reference: Label map.
        table: Names of the labels.
        centre_lines: Whether labels are tubes, whose centre lines are compared as well.

    Returns:
        A row per label that occurs in one of the two, by value and without the background:
        `label`, `name`, `dice`, `hausdorff95_mm`, `volume_mm3`, `reference_volume_mm3`, and of
        tubes `centre_line_dice`.

    Raises:
        ValueError: If the grids differ, or a label is not in the table.
    """
    check_same_grid(prediction, reference)
    spacing = reference.spacing
    labels = occurring(prediction.data, reference.data)
    overlap = dice(prediction.data, reference.data, labels)
    volume = volumes(prediction.data, spacing, labels)
    reference_volume = volumes(reference.data, spacing, labels)
    rows = [
        {
            "label": label,
            "name": table.name(label),
            "dice": overlap[label],
            "hausdorff95_mm": hausdorff95(prediction.data, reference.data, label, spacing),
            "volume_mm3": volume[label],
            "reference_volume_mm3": reference_volume[label],
        }
        for label in labels
    ]
    for row in rows if centre_lines else ():
        masks = (volume.data == row["label"] for volume in (prediction, reference))
        row[CENTRE_LINES] = centre_line_dice(*masks)
    return rows


def occurring(*maps: np.ndarray) -> list[int]:
    """Give the labels that occur in any of several label maps, but for the background."""
    return sorted({label for label_map in maps for label in _counts(label_map)} - {0})


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def _counts(label_map: np.ndarray) -> dict[int, int]:
    """Return the number of voxels of every label that occurs."""
    if label_map.size and label_map.min() >= 0 and label_map.max() < _BINS:
        counts = np.bincount(label_map.ravel())
        values = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(label_map, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _check_maps(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise ValueError(f"expected label maps of one shape, received {a.shape} and {b.shape}")
    for label_map in (a, b):
        if label_map.dtype.kind not in "iu":
            raise ValueError(f"expected a label map of integers, received {label_map.dtype}")


def _check_spacing(label_map: np.ndarray, spacing: Sequence[float]) -> None:
    if len(spacing) != label_map.ndim:
        raise ValueError(
            f"expected a spacing for each of {label_map.ndim} axes, received {tuple(spacing)}"
        )
