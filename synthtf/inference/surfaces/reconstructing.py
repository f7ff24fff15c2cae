"""Surfaces of the cortex in a scan of any contrast."""

import dataclasses
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synthtf.data.surfaces import Surface
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.patches.memory import MemoryBudget
from synthtf.inference.surfaces.level_maps import (
    KINDS,
    SIDES,
    SPACING,
    LevelMaps,
    level_maps,
    level_maps_of_labels,
    load_surface_run,
)
from synthtf.inference.surfaces.meshes import check_library, mesh, thickness
from synthtf.inference.surfaces.sulci import open_sulci
from synthtf.inference.surfaces.topology import sphere_like

if TYPE_CHECKING:
    from synthtf.data.label_table import LabelTable
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel

_MARGIN = 3  # voxels around a hemisphere
_LEAST = 1000.0  # mm³ of a hemisphere: less is a mistake of the network
_APART = 0.5  # mm: where the surfaces are closer, there is no cortex between them


@dataclasses.dataclass(frozen=True, eq=False)
class Cortex:
    """What `find_surfaces` returns.

    Attributes:
        surfaces: By side ("left", "right") and kind ("white", "pial"), the surface.
        thickness: By side, the thickness in mm at each vertex of the white surface. It is about 0
            where there is no cortex, as towards the other hemisphere.
        doubt: Why the result is of no use; None if it may be.
    """

    surfaces: dict[tuple[str, str], Surface]
    thickness: dict[str, np.ndarray]
    doubt: str | None = None

    def cortical(self, side: str) -> np.ndarray:
        """Thickness of a side in mm, where there is cortex: where it is 0.5 mm or more."""
        values = self.thickness[side]
        return values[values >= _APART]


def find_surfaces(
    scan: "Volume | str | PathLike",
    model: "CombinedModel | Run | str | PathLike",
    *,
    flip: bool = True,
    ct: bool = False,
    budget: MemoryBudget | None = None,
) -> Cortex:
    """Find the white and the pial surface of each hemisphere, and the thickness between them.

    The scan is brought to voxels of 1 mm. A network of segmentation says how likely each voxel lies
    within a surface, and the surface is where that is a half; or a network returns the distances to
    the surfaces. What lies within becomes one piece without handles; within the pial surface lies
    all that is within the white one. Ventricles and deep grey matter lie within the white surface,
    hippocampus and amygdala too; towards the other hemisphere both surfaces are one.

    Args:
        scan: A volume, or its file.
        model: A training run, its folder or name, or a model that `fit` trained: of segmentation,
            with labels of the cortex of both sides; or of regression, whose recipe keeps the
            distances to what lies within the four surfaces (`KeepDistance`).
        flip: Whether to average with the prediction on the left-right mirrored scan; not done with
            distances.
        ct: Whether the scan is in Hounsfield units.
        budget: Memory that the process may take; by default it is not limited.

    Returns:
        Surfaces in mm of the scan's world, and the thickness.

    Raises:
        ValueError: If the scan or the run does not fit, there is no hemisphere, scikit-image is
            not installed, or it does not fit the budget.
        MemoryError: If memory runs out.
        FileNotFoundError: If a file is missing.
    """
    check_library()
    run = load_surface_run(model)
    volume = scan if isinstance(scan, Volume) else read_volume(scan)
    maps, affine, doubt = level_maps(volume, run, flip=flip, ct=ct, budget=budget)
    return _cortex(maps, affine, volume.name, doubt)


def label_surfaces(labels: "Volume | str | PathLike", table: "LabelTable") -> Cortex:
    """Make the same surfaces of a label map.

    Args:
        labels: A label map, or its file.
        table: Label table, whose names say what is cortex, and which side is which.

    Raises:
        ValueError: If there is no hemisphere, or scikit-image is not installed.
        FileNotFoundError: If the file is missing.
    """
    check_library()
    volume = labels if isinstance(labels, Volume) else read_volume(labels)
    return _cortex(*level_maps_of_labels(volume, table), volume.name)


def _cortex(maps: LevelMaps, affine: np.ndarray, name: str, doubt: str | None = None) -> Cortex:
    surfaces, distances = {}, {}
    for side in SIDES:
        pair = _reconstruct(*(maps.pop((side, kind)) for kind in KINDS), affine, side, name)
        surfaces.update({(side, surface.kind): surface for surface in pair})
        distances[side] = thickness(*pair)
    return Cortex(surfaces, distances, doubt)


def _reconstruct(
    white: np.ndarray, pial: np.ndarray, affine: np.ndarray, side: str, name: str
) -> tuple[Surface, Surface]:
    """Make the surfaces of a hemisphere."""
    pieces, _ = ndimage.label(white > 0)
    sizes = np.bincount(pieces.ravel())[1:]
    if not sizes.size or sizes.max() * SPACING**3 < _LEAST:
        raise ValueError(f"{name}: found no {side} cerebral hemisphere")
    box = ndimage.find_objects(pieces)[int(sizes.argmax())]
    # The cortex is thinner than a centimetre; the border of the volume ends the hemisphere.
    reach = _MARGIN + round(10 / SPACING)
    box = tuple(
        slice(max(p.start - reach, 0), min(p.stop + reach, n))
        for p, n in zip(box, white.shape, strict=True)
    )
    affine = affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start - 1 for part in box]
    found, region = [], None
    for kind, values in zip(KINDS, (white, pial), strict=True):
        outside = -float(abs(values).max())
        values = np.pad(values[box], 1, constant_values=outside)
        if region is not None:
            values = open_sulci(values, region, SPACING)
        region = sphere_like(values, region)
        found.append(mesh(values, region, affine, side, kind))
    return found[0], found[1]
