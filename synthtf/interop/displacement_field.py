"""Fields in NIfTI files: `u` of `T(x) = x + u(x)` or `T(x)` itself in mm, on the fixed grid.

Displacements of ITK, ANTs and NiftyReg and in RAS are read, and positions of SPM and NiftyReg;
`field_kinds` tells them apart. Written are displacements in RAS, or in LPS for ITK and ANTs.
"""

import gzip
import os
import warnings

import nibabel as nib
import numpy as np
from scipy.ndimage import distance_transform_edt

from synthtf.data.grid import Grid
from synthtf.data.integrity import read_verified
from synthtf.data.paths import extension
from synthtf.data.transforms import Displacement, Transform
from synthtf.data.volumes import Volume
from synthtf.data.whole_files import write_whole
from synthtf.interop.field_kinds import (
    collapses,
    field_kind,
    look_like_positions,
    looks_like_a_scan,
)
from synthtf.interop.small_files import naming
from synthtf.interop.transform_format import TransformFormat
from synthtf.messages import describe

_DISPVECT, _VECTOR = 1006, 1007
_TO_RAS = np.array([-1, -1, 1], np.float32)


@np.errstate(all="ignore")  # Damaged numbers are refused below.
def read_displacement_field(path: str | os.PathLike) -> Displacement:
    """Read a field of displacements or positions; `field_kinds` lists what is understood.

    Args:
        path: path of a .nii.gz or .nii file.

    Returns:
        The transform in RAS; its fixed image has the grid of the field.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, is no field or of a kind that is not understood, holds
            displacements that are NaN or infinite, or if its vectors cannot be what its header
            says; or if it is a scan of three frames.

    Warns:
        UserWarning: if the header contradicts the file, or holds no voxel-to-world affine; if some
            positions are NaN, as in fields of SPM: these voxels move like the closest that does.
    """
    found, voxels = read_verified(path)
    with naming(path):
        kind = field_kind(found)
        field = voxels.reshape((*found.shape[:3], 3), order="F")
        try:
            slope, inter = found.header.get_slope_inter()
            affine = found.header.get_best_affine()
        except nib.spatialimages.HeaderDataError as error:
            raise ValueError(f"its header is damaged: {describe(error)}") from error
        if slope is not None and (slope, inter) != (1, 0):
            field = field * slope + inter
        grid = Grid(found.shape[:3], affine)
        doubts = list(found.doubts)
        if not found.oriented:
            doubts.append("its header sets no orientation; left and right are unknown")
        to_ras = _TO_RAS if kind.lps else np.ones(3, np.float32)
        field = np.multiply(field, to_ras, dtype=np.float32, casting="unsafe", order="C")
        positions = kind.positions
        if positions is None:
            positions = look_like_positions(field * to_ras, grid)
            field = field * to_ras if positions else field
        if positions:
            field = _as_displacements(field, grid, doubts)
        elif look_like_positions(field, grid):
            raise ValueError(
                "its vectors grow with the coordinates as positions do, and its header says "
                "displacements; if they are positions in RAS mm, set its intent code to 1008, "
                "else subtract the coordinates"
            )
        if looks_like_a_scan(found, field, grid):
            raise ValueError(
                "its header says nothing of vectors, and its numbers are those of a scan of three "
                "frames; if it is a field of displacements in RAS mm, set its intent code to 1006"
            )
        for doubt in doubts:
            warnings.warn(f"{path}: {doubt}", UserWarning, stacklevel=2)
        return Displacement(field, grid.affine, grid)


def write_displacement_field(
    path: str | os.PathLike, transform: Transform, *, fixed: Volume | Grid, itk: bool = False
) -> None:
    """Write any transform as a displacement field on the grid of the fixed image.

    Args:
        path: path of a .nii.gz or .nii file.
        transform: transform from the fixed to the moving image.
        fixed: fixed image.
        itk: write LPS components in five axes, for ITK and ANTs, instead of RAS components in
            four. Default False.

    Raises:
        OSError: if the file cannot be written.
    """
    grid = Grid.of(fixed)
    field = Displacement.of(transform, grid).field
    if itk:
        field = (field * _TO_RAS)[:, :, :, None]
    image = nib.Nifti1Image(field, grid.affine)
    image.header.set_intent(_VECTOR if itk else _DISPVECT)
    image.header.set_sform(grid.affine, code="scanner")
    image.header.set_xyzt_units("mm")
    data = image.to_bytes()
    # No time in the stream: equal fields give equal files.
    write_whole(path, gzip.compress(data, 4, mtime=0) if extension(path) == ".nii.gz" else data)


def _as_displacements(field: np.ndarray, grid: Grid, doubts: list[str]) -> np.ndarray:
    """Subtract the coordinates from positions, and fill in what has none."""
    moved = np.empty_like(field)
    for rows, points in grid.slabs():
        moved[rows] = field[rows] - points
    missing = ~np.isfinite(moved).all(-1)
    if missing.all():
        raise ValueError("no voxel of it has a position, all are NaN or infinite")
    if missing.any():
        closest = distance_transform_edt(missing, return_distances=False, return_indices=True)
        moved = moved[tuple(closest)]
        doubts.append(
            f"{np.count_nonzero(missing):,} voxels have no position (NaN); they move like the "
            "closest that has one"
        )
    if collapses(moved, grid):
        raise ValueError(
            "its header says that it holds positions in mm, but they do not grow with the "
            "coordinates; does it hold displacements?"
        )
    return moved


def _format(itk: bool) -> TransformFormat:
    return TransformFormat(
        (".nii.gz", ".nii"),
        read=lambda path, fixed, moving: read_displacement_field(path),
        write=lambda path, transform, fixed, moving: write_displacement_field(
            path, transform, fixed=fixed, itk=itk
        ),
        is_name=lambda name: name.endswith("warp") or not itk,
        only_affine=False,
    )


# Reading tells them apart by the axes of the file, writing by the name that ANTs gives.
ITK_FIELD, RAS_FIELD = _format(itk=True), _format(itk=False)
