"""Signs that a segmentation has failed: each a line of text for the report."""

import math
from collections.abc import Iterable, Mapping

import numpy as np
from scipy import ndimage

from synthtf.data.label_table import LabelTable
from synthtf.data.volumes import Volume

BRAIN_RANGE = (800.0, 2100.0)
"""Volumes of most adult brains with their CSF lie in this range, in mL."""

# A piece counts as a fragment if it is this large, and holds that share of its structure; pieces of
# FreeSurfer's structures, which are often a few voxels apart, do not.
_FRAGMENT = 100.0  # mm³
_SHARE = 0.02
_LARGE_FRAGMENT = 1000.0  # mm³, of any share
_NUM_NAMED = 8  # structures that a warning names
_FACES = (("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))


def check_labels(
    segmentation: Volume, volumes: Mapping[int, float], table: LabelTable, named: bool
) -> list[str]:
    """Check a label map.

    Args:
        segmentation: Label map, 3D, RAS.
        volumes: Volume of each label that occurs but 0, in mm³.
        table: Names of the labels.
        named: Whether the table says which labels to expect.

    Returns:
        Warnings, each of one line.
    """
    names = {label: f"label {label}" for label in volumes}
    names |= dict(zip(table.ids, table.names, strict=True))
    outside = {i for i, brain in zip(table.ids, table.brain, strict=True) if brain == "no"}
    checked = [label for label in volumes if label not in outside]
    found = _unlisted(volumes, table) + _missing(volumes, table, names) if named else []
    found += _swapped(segmentation, table)
    found += _cut_off(segmentation, checked, names)
    return found + _fragmented(segmentation, checked, names)


def check_mask(segmentation: Volume) -> list[str]:
    """Check a label map of one label, which has no name.

    Args:
        segmentation: Mask, 3D, RAS.

    Returns:
        Warnings, each of one line.
    """
    values = np.unique(segmentation.data)
    values = values[values != 0].tolist()
    if not values:
        return ["every voxel is background"]
    names = dict.fromkeys(values, "mask")
    found = _cut_off(segmentation, values, names) + _fragmented(segmentation, values, names)
    mask = segmentation.data != 0
    holes = np.count_nonzero(ndimage.binary_fill_holes(mask)) - np.count_nonzero(mask)
    volume = holes * math.prod(segmentation.spacing)
    if volume >= _FRAGMENT:
        found.append(f"holes in the mask: {volume:,.0f} mm³")
    return found


def check_total(name: str, volume: float) -> list[str]:
    """Check whether a volume in mm³ is that of an adult brain."""
    low, high = BRAIN_RANGE
    if not volume or low <= volume / 1000 <= high:
        return []
    size = "small" if volume / 1000 < low else "large"
    return [
        f"{size} volume ({name}): {volume / 1000:,.4g} mL; "
        f"most adult brains measure {low:g} to {high:g} mL"
    ]


def fragments(labels: np.ndarray, voxel: float) -> dict[int, list[float]]:
    """Measure the connected components of each label.

    Voxels are connected through faces, edges and corners.

    Args:
        labels: Label map, 3D.
        voxel: Volume of a voxel in mm³.

    Returns:
        Each label but 0 to the volumes of its components in mm³, the largest first.

    Example:
        >>> fragments(np.array([[[5, 5, 0, 5]]]), voxel=2.0)
        {5: [4.0, 2.0]}
    """
    boxes = ndimage.find_objects((labels != 0).astype(np.uint8))
    if not boxes:
        return {}
    labels = labels[boxes[0]]
    values = np.union1d(0, np.unique(labels))
    # Labels may be large, and SciPy makes a list that long.
    numbers = np.searchsorted(values, labels).astype(np.int32)
    found = {}
    for number, box in enumerate(ndimage.find_objects(numbers), start=1):
        components, _ = ndimage.label(numbers[box] == number, np.ones((3, 3, 3)))
        sizes = np.sort(np.bincount(components.ravel())[1:])[::-1] * voxel
        found[int(values[number])] = sizes.tolist()
    return found


def _unlisted(volumes: Mapping[int, float], table: LabelTable) -> list[str]:
    unlisted = [
        f"{label} ({volume:,.0f} mm³)"
        for label, volume in volumes.items()
        if label not in table.mapping
    ]
    return [f"labels that the table does not list: {_listed(unlisted)}"] if unlisted else []


def _missing(
    volumes: Mapping[int, float], table: LabelTable, names: Mapping[int, str]
) -> list[str]:
    """Structures whose other side occurs; all others only if the table is not far too long."""
    partners = dict(zip(table.ids, table.partners, strict=True))
    expected = {partners[label] for label in volumes if partners.get(label) is not None}
    outputs = set(table.output_labels) - {0}
    if 2 * len(outputs & set(volumes)) >= len(outputs):
        expected |= outputs
    missing = [names[label] for label in sorted(expected - set(volumes))]
    return [f"empty structures: {_listed(missing)}"] if missing else []


def _swapped(segmentation: Volume, table: LabelTable) -> list[str]:
    """Whether the labels of the left lie to the right of those of the right."""
    centres = []
    for wanted in ("left", "right"):
        labels = [i for i, side in zip(table.ids, table.sides, strict=True) if side == wanted]
        profile = np.isin(segmentation.data, labels).sum(axis=(1, 2))
        if not profile.any():
            return []
        centres.append(np.average(np.arange(profile.size), weights=profile))
    if centres[0] <= centres[1]:
        return []
    return ["labels of the left lie to the right of those of the right: are the sides swapped?"]


def _cut_off(segmentation: Volume, labels: Iterable[int], names: Mapping[int, str]) -> list[str]:
    """Structures in the outermost slices of the field of view."""
    data, found = segmentation.data, []
    for axis, ends in enumerate(_FACES):
        if data.shape[axis] == 1:
            continue
        for index, end in zip((0, -1), ends, strict=True):
            values, counts = np.unique(np.take(data, index, axis), return_counts=True)
            touching = [
                f"{names[value]} ({count:,} {'voxel' if count == 1 else 'voxels'})"
                for value, count in zip(values.tolist(), counts.tolist(), strict=True)
                if value in labels
            ]
            if touching:
                found.append(f"touches the {end} border of the field of view: {_listed(touching)}")
    return found


def _fragmented(segmentation: Volume, labels: Iterable[int], names: Mapping[int, str]) -> list[str]:
    voxel = abs(float(np.linalg.det(segmentation.affine[:3, :3])))
    found = []
    for label, sizes in fragments(segmentation.data, voxel).items():
        share = _SHARE * sum(sizes)
        large = [v for v in sizes if v >= _LARGE_FRAGMENT or v >= max(_FRAGMENT, share)]
        if label in labels and len(large) > 1:
            listed = _listed([f"{size:,.0f}" for size in large])
            found.append(f"{names[label]} ({len(large)} pieces: {listed} mm³)")
    return [f"more than one piece: {_listed(found)}"] if found else []


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - _NUM_NAMED} more" if len(items) > _NUM_NAMED else ""
    return ", ".join(items[:_NUM_NAMED]) + more
