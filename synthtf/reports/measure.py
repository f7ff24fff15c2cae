"""Quality control of a segmentation: its volumes, its geometry, and what looks wrong."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import nibabel as nib
import numpy as np

from synthtf.data.geometry import orientation, reorient
from synthtf.data.grid import Grid
from synthtf.data.label_sides import split_side
from synthtf.data.label_table import LabelTable, count_labels
from synthtf.data.paths import stem
from synthtf.data.volumes import Volume, as_labels, read_with_notes
from synthtf.reports.checks import check_labels, check_mask, check_total
from synthtf.reports.view import View


@dataclass(frozen=True)
class Structure:
    """A row of the table of volumes.

    Attributes:
        name: Of the structure, without its side if there are two.
        labels: Its label, or those of left and right.
        volumes: Volume of each, in mm³.
    """

    name: str
    labels: tuple[int, ...]
    volumes: tuple[float, ...]

    @property
    def volume(self) -> float:
        """Volume of both sides, in mm³."""
        return sum(self.volumes)

    @property
    def asymmetry(self) -> float:
        """Left minus right over their mean, in percent; NaN without sides.

        Example:
            >>> Structure("thalamus", (10, 49), (110.0, 90.0)).asymmetry
            20.0
        """
        if len(self.volumes) < 2 or not self.volume:
            return math.nan
        left, right = self.volumes
        return 100 * (left - right) / (self.volume / 2)


@dataclass(frozen=True, eq=False)
class Report:
    """What `report` finds.

    Attributes:
        name: File name of the scan without its ending.
        is_mask: Whether the segmentation has no more than one label and no name for it.
        structures: Rows of the table of volumes, by label.
        groups: Tissue of the label table, without one the structure, to its volume in mm³; what
            the table counts as outside of the brain is left out.
        total_name: What `total` is the volume of.
        total: Volume in mm³ of the labels that belong to the brain; of all labels without a table.
        warnings: One line each.
        geometry: Property to what it is in the scan and in the segmentation.
        provenance: Content of the JSON file of the segmentation's name; None without one.
        view: What is drawn.
    """

    name: str
    is_mask: bool
    structures: tuple[Structure, ...]
    groups: dict[str, float]
    total_name: str
    total: float
    warnings: tuple[str, ...]
    geometry: dict[str, tuple[str, str]]
    provenance: dict[str, object] | None
    view: View


def report(
    scan: "Volume | str | PathLike",
    segmentation: "Volume | str | PathLike",
    table: LabelTable | None = None,
) -> Report:
    """Measure a segmentation or a brain mask of a scan, and look for signs of failure.

    Volumes are numbers of voxels times their size, on the grid of the segmentation. Where the scan
    has another grid, the segmentation is drawn on it by nearest neighbour, with a warning.

    Args:
        scan: A volume, or its file. A 2D image counts as a slice of one voxel.
        segmentation: Label map or mask. The provenance is read from the JSON file beside it that
            has its name, such as `x_seg.json` for `x_seg.nii.gz`.
        table: Names, sides and tissues of the labels; without one, labels are numbers.

    Returns:
        The report.

    Raises:
        ValueError: If a file is no such volume, or no label lies in the field of view of the scan.
        FileNotFoundError: If a file is missing.
    """
    image, image_notes = _read(scan, labels=False)
    label_map, label_notes = _read(segmentation, labels=True)
    voxel = abs(float(np.linalg.det(label_map.affine[:3, :3])))
    volumes = {v: n * voxel for v, n in count_labels(label_map.data).items() if v}
    is_mask = len(volumes) < 2 and (table is None or not set(volumes) & set(table.ids))
    known = LabelTable.from_labels(volumes) if table is None or is_mask else table
    view, grid_notes = View.of(image, label_map)
    provenance, provenance_notes = _provenance(label_map.path)
    total_name, total = _total(volumes, known, is_mask, table is not None)
    ras = reorient(label_map)
    found = check_mask(ras) if is_mask else check_labels(ras, volumes, known, table is not None)
    notes = [*image_notes, *label_notes, *grid_notes, *provenance_notes]
    return Report(
        name=stem(image.path) if image.path else image.name,
        is_mask=is_mask,
        structures=_structures(volumes, known, is_mask),
        groups={} if is_mask else _groups(volumes, known),
        total_name=total_name,
        total=total,
        warnings=(*notes, *check_total(total_name, total), *found),
        geometry=_geometry(image, label_map),
        provenance=provenance,
        view=view,
    )


def label_name(table: LabelTable, label: int) -> str:
    """Return the name of a label, which may be missing in the table."""
    return table.name(label) if label in table.mapping else f"label {label} (not in the table)"


def _read(source: "Volume | str | PathLike", labels: bool) -> tuple[Volume, list[str]]:
    """A volume of three axes, and what is odd about its file."""
    notes = []
    if not isinstance(source, Volume):
        source, notes = read_with_notes(source, labels)
        notes = [note.replace(str(source.path), source.path.name) for note in notes]
    if source.data.ndim != source.ndim:
        raise ValueError(f"{source.name}: expected one frame, received {source.data.shape}")
    data = as_labels(source.data, source.name) if labels else source.data
    grid = Grid.of(source)
    return Volume(data.reshape(grid.shape), grid.affine, source.header, source.path), notes


def _structures(
    volumes: Mapping[int, float], table: LabelTable, is_mask: bool
) -> tuple[Structure, ...]:
    """One row for each label that occurs, and for its partner."""
    if is_mask:
        return tuple(Structure("mask", (label,), (volume,)) for label, volume in volumes.items())
    sides = dict(zip(table.ids, table.sides, strict=True))
    partners = dict(zip(table.ids, table.partners, strict=True))
    rows = {}
    for label in sorted(volumes):
        partner = partners.get(label)
        pair = (label, partner) if sides.get(label) == "left" else (partner, label)
        if partner is None or [sides[side] for side in pair] != ["left", "right"]:
            pair = (label,)
        name = label_name(table, pair[0])
        name = split_side(name)[2] if len(pair) == 2 else name
        rows[pair] = Structure(name, pair, tuple(volumes.get(side, 0.0) for side in pair))
    return tuple(rows.values())


def _groups(volumes: Mapping[int, float], table: LabelTable) -> dict[str, float]:
    inside = {*table.brain_labels, *table.csf_labels} - {0}
    return {
        group: sum(volumes.get(label, 0.0) for label in labels)
        for group, members in table.group_ids.items()
        if (labels := inside.intersection(members))
    }


def _total(
    volumes: Mapping[int, float], table: LabelTable, is_mask: bool, named: bool
) -> tuple[str, float]:
    brain = set(table.brain_labels) & set(volumes)
    if is_mask:
        return "mask", sum(volumes.values())
    if named and brain:
        return "brain", sum(volumes[label] for label in brain)
    return "all labels", sum(volumes.values())


def _geometry(scan: Volume, segmentation: Volume) -> dict[str, tuple[str, str]]:
    """Property to what it is in the two."""
    columns = [_describe(volume) for volume in (scan, segmentation)]
    return {key: (columns[0][key], columns[1][key]) for key in columns[0]}


def _describe(volume: Volume) -> dict[str, str]:
    sizes = [f"{size:.3g}" for size in volume.spacing]
    extent = [f"{n * size:.0f}" for n, size in zip(volume.shape, volume.spacing, strict=True)]
    tilt = math.degrees(np.max(nib.affines.obliquity(volume.affine)))
    stored = volume.data.dtype if volume.header is None else volume.header.get_data_dtype()
    return {
        "file": volume.name,
        "voxels": " x ".join(map(str, volume.shape)),
        "voxel size": f"{' x '.join(sizes)} mm",
        "field of view": f"{' x '.join(extent)} mm",
        "orientation": f"{orientation(volume)}{f', oblique by {tilt:.0f}°' if tilt > 0.5 else ''}",
        "stored as": str(stored),
        "values": f"{volume.data.min():g} to {volume.data.max():g}",
    }


def _provenance(path: Path | None) -> tuple[dict[str, object] | None, list[str]]:
    """Content of the JSON file of a segmentation, and a warning if it cannot be read."""
    if path is None:
        return None, []
    file = path.with_name(f"{stem(path)}.json")
    if not file.is_file():
        return None, []
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        return None, [f"{file.name} is not shown, it is no JSON: {error}"]
    if not isinstance(content, dict):
        return None, [f"{file.name} is not shown, it holds no JSON object"]
    return content, []
