"""What a registration did, as a picture and as a number."""

import warnings
from os import PathLike
from pathlib import Path

import numpy as np

from synthtf import figures
from synthtf.data.grid import Grid
from synthtf.data.transforms import Affine, Transform
from synthtf.data.volumes import Volume
from synthtf.evaluation.comparing import dice
from synthtf.inference.applying import apply_transform
from synthtf.inference.conform import ConformedGrid

_SPACING = 2.0  # mm of the picture


def draw_registration(
    path: "str | PathLike",
    moving: Volume,
    fixed: Volume,
    transform: Transform,
    title: str | None = None,
) -> Path:
    """Draw checkerboards before and after, the deformation grid, and the Jacobian determinant.

    Args:
        path: PNG file to write.
        moving: 3D scan.
        fixed: 3D scan, on whose axes, to the closest of RAS, the picture is.
        transform: from the fixed to the moving scan.
        title: of the figure.

    Returns:
        The path.
    """
    conformed = ConformedGrid.of(fixed.shape, fixed.affine, (_SPACING,) * 3)
    grid = Grid(conformed.shape, conformed.affine)
    like = Volume(np.zeros(grid.shape, np.uint8), grid.affine)
    coordinates = np.concatenate([transform(points) for _, points in grid.slabs()])
    axes = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    with warnings.catch_warnings():
        # A picture shows that there is no overlap.
        warnings.filterwarnings("ignore", "[\\s\\S]*no voxel of the result")
        before, after = (
            apply_transform(moving, way, like=like).data for way in (Affine(np.eye(4)), transform)
        )
    return figures.registration(
        conformed.conform(fixed.data),
        before,
        after,
        path,
        coordinates @ np.linalg.inv(axes).T,
        title,
        _SPACING,
    )


def overlap(moving: Volume, fixed: Volume, transform: Transform | None = None) -> float:
    """Measure the mean Dice of two label maps, the first moved by nearest neighbour.

    Args:
        moving: label map.
        fixed: label map.
        transform: from the fixed to the moving one. None: they stay where they are.

    Returns:
        Mean over all labels but 0 that occur in either; NaN if there are none.
    """
    transform = transform or Affine(np.eye(4))
    moved = apply_transform(moving, transform, like=fixed, interpolation="nearest")
    labels = np.union1d(np.unique(moving.data), np.unique(fixed.data))
    found = list(dice(moved.data, fixed.data, labels[labels != 0]).values())
    return float(np.mean(found)) if found else float("nan")
