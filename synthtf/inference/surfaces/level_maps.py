"""What lies within the white and the pial surface of each hemisphere, from a network."""

import re
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synthtf.data.label_table import LabelTable
from synthtf.data.volumes import Volume
from synthtf.inference.conform import ConformedGrid
from synthtf.inference.foreground import foreground_box
from synthtf.inference.imaging import super_resolve
from synthtf.inference.patches.memory import MemoryBudget
from synthtf.inference.prediction import load_run
from synthtf.inference.segmenting import segment

if TYPE_CHECKING:
    from synthtf.runs.run import Run

SIDES, KINDS = ("left", "right"), ("white", "pial")
SPACING = 1.0
"""Voxel size of the maps in mm."""

_SMOOTHING = 0.6  # mm, of posteriors: sharpened ones are steps
_CORTEX, _NOT_CEREBRAL = re.compile("cortex|ctx"), re.compile("cerebell")

LevelMaps = dict[tuple[str, str], np.ndarray]


def finds_distances(run: "Run") -> bool:
    """Whether a network returns the distances to all four surfaces."""
    return run.task == "regression" and _distance_target(run) is not None


def level_maps(
    scan: Volume, run: "Run", *, flip: bool, ct: bool, budget: MemoryBudget | None
) -> tuple[LevelMaps, np.ndarray, str | None]:
    """Find maps that are positive within a surface, and 0 on it.

    Args:
        scan: A scan of three axes.
        run: A network that returns the distances to the surfaces, or one of segmentation.
        flip: Whether to average with the prediction on the mirrored scan.
        ct: Whether the scan is in Hounsfield units.
        budget: Memory that the process may take.

    Returns:
        By side and kind, the map; the affine of their grid; and why they are of no use, if so.

    Raises:
        ValueError: If the network does not know the surfaces, or as `segment`.
    """
    data = scan.data[..., None] if scan.data.ndim == 2 else scan.data
    if data.ndim != 3 or scan.data.ndim != scan.ndim:
        raise ValueError(f"{scan.name}: expected one frame. Received: {scan.data.shape}")
    grid = ConformedGrid.of(data.shape, scan.affine, (SPACING,) * 3)
    if finds_distances(run):
        options = {"flip": False, "ct": ct, "budget": budget}
        found = super_resolve(scan, run, target=_distance_target(run)[0], **options)
        return _from_distances(found, grid, run), grid.affine, None
    labels = surface_labels(run.table, run.output_labels, run.name)
    image = grid.conform(data)
    box = foreground_box(image, (SPACING,) * 3)
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    fine = Volume(np.ascontiguousarray(image[box]), affine, None)
    found = segment(fine, run, flip=flip, ct=ct, budget=budget, posteriors=True)
    maps = {
        key: _smoothed(sum(found.posteriors.data[..., run.output_labels.index(v)] for v in values))
        for key, values in labels.items()
    }
    return maps, affine, found.doubt


def level_maps_of_labels(labels: Volume, table: LabelTable) -> tuple[LevelMaps, np.ndarray]:
    """Find maps that are positive within a surface from a label map.

    Args:
        labels: The label map, of three axes.
        table: Its label table.

    Returns:
        By side and kind, the map; and the affine of their grid.

    Raises:
        ValueError: If the label map has no cortex, or nothing within it, on a side.
    """
    grid = ConformedGrid.of(labels.data.shape, labels.affine, (SPACING,) * 3)
    present = [int(v) for v in np.unique(labels.data) if v in table.mapping]
    chosen = surface_labels(table, present, labels.name)
    maps = {
        key: _smoothed(grid.conform(np.isin(labels.data, values).astype(np.float32)))
        for key, values in chosen.items()
    }
    return maps, grid.affine


def load_surface_run(model: object) -> "Run":
    """Give the run of a network that surfaces can be made with.

    Raises:
        ValueError: If it is of another task, of two dimensions, or does not know the surfaces.
        FileNotFoundError: If a file of it is missing.
    """
    from synthtf.runs.run import as_run

    run = as_run(model)
    if finds_distances(run):
        return load_run(run, "regression")
    run = load_run(run, "segmentation")
    surface_labels(run.table, run.output_labels, run.name)
    return run


def surface_labels(
    table: LabelTable, labels: "tuple[int, ...] | list[int]", name: str
) -> dict[tuple[str, str], tuple[int, ...]]:
    """Find what lies within each surface: labels of a side of the brain, but for the cerebellum.

    What is called cortex lies between the two surfaces.

    Args:
        table: Names, sides and what belongs to the brain.
        labels: Labels of the table to choose from.
        name: Of the network, for the message.

    Returns:
        By side and kind, the labels.

    Raises:
        ValueError: If there is no cortex, or nothing within it, on a side.
    """
    brain, side = set(table.brain_labels), dict(zip(table.ids, table.sides, strict=True))
    found = {}
    for one in SIDES:
        own = [v for v in labels if v in brain and side[v] == one]
        own = [v for v in own if not _NOT_CEREBRAL.search(table.name(v).lower())]
        within = tuple(v for v in own if not _CORTEX.search(table.name(v).lower()))
        if not within or len(within) == len(own):
            raise ValueError(
                f"{name}: expected labels of the {one} cerebral cortex and of what lies within it, "
                "as their names say. Received: "
                f"{', '.join(table.name(v) for v in own) or f'none of the {one} side'}"
            )
        found[one, "white"], found[one, "pial"] = within, tuple(own)
    return found


def _smoothed(share: np.ndarray) -> np.ndarray:
    """A map that is 0 where a half lies within."""
    return ndimage.gaussian_filter(share, _SMOOTHING / SPACING) - 0.5


def _distance_target(run: "Run") -> tuple[str, dict[tuple[str, str], int]] | None:
    """Target of the distances to all surfaces, and the channel of each."""
    side = dict(zip(run.table.ids, run.table.sides, strict=True))
    for name in run.recipe.targets:
        channels = {}
        for channel, region in enumerate(getattr(run.recipe[name], "regions", ())):
            values = [v for v in region if v in side] if not isinstance(region, str) else []
            cortex = any(_CORTEX.search(run.table.name(v).lower()) for v in values)
            for one in {side[v] for v in values} if values else ():
                channels[one, KINDS[cortex]] = channel
        if set(channels) == {(one, kind) for one in SIDES for kind in KINDS}:
            return name, channels
    return None


def _from_distances(found: Volume, grid: ConformedGrid, run: "Run") -> LevelMaps:
    """Bring distances to a finer grid by splines; they are smooth, so that nothing is lost."""
    step = np.linalg.solve(found.affine, grid.affine)
    ratios, start = np.diag(step)[:3], step[:3, 3]
    return {
        key: -ndimage.affine_transform(
            found.data[..., channel], ratios, start, grid.shape, order=3, mode="nearest"
        )
        for key, channel in _distance_target(run)[1].items()
    }
