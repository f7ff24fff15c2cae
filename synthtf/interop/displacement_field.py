"""Displacement fields in NIfTI files: `u` of `T(x) = x + u(x)` in mm, on the fixed image's grid.

    axes                  intent              components
    (x, y, z, 1, 3)       1007 (vector)       LPS: ITK, ANTs
    (x, y, z, 1, 3)       1006 (dispvect)     RAS: the NIfTI standard; ITK turns it into LPS
    (x, y, z, 3)          0, 1006 or 1007     RAS: written here, with 1006

FSL's warps, which also have four axes, are recognised by their intents (2006 to 2009) and refused.

Reference:
    The NIfTI-1 standard (nifti1.h); ITK's `itkNiftiImageIO`.
"""

import gzip
import os
import warnings

import nibabel as nib
import numpy as np

from synthtf.data.grid import Grid
from synthtf.data.headers import FileHeader
from synthtf.data.integrity import read_verified
from synthtf.data.paths import extension
from synthtf.data.transforms import Displacement, Transform
from synthtf.data.volumes import Volume
from synthtf.data.whole_files import write_whole
from synthtf.interop.small_files import naming
from synthtf.interop.transform_format import TransformFormat

_DISPVECT, _VECTOR = 1006, 1007
_TO_RAS = np.array([-1, -1, 1], np.float32)


@np.errstate(all="ignore")  # Damaged numbers are refused below.
def read_displacement_field(path: str | os.PathLike) -> Displacement:
    """Read a displacement field of ITK or in RAS; the module's docstring lists the formats.

    Args:
        path: path of a .nii.gz or .nii file.

    Returns:
        The transform in RAS; its fixed image has the grid of the field.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, is not a displacement field, or holds NaN or infinity.

    Warns:
        UserWarning: if the header contradicts the file, or holds no voxel-to-world affine.
    """
    found, voxels = read_verified(path)
    with naming(path):
        to_ras = _TO_RAS if _is_lps(found) else np.ones(3, np.float32)
        field = voxels.reshape((*found.shape[:3], 3), order="F")
        try:
            slope, inter = found.header.get_slope_inter()
            affine = found.header.get_best_affine()
        except nib.spatialimages.HeaderDataError as error:
            raise ValueError(f"its header is damaged: {error}") from error
        if slope is not None and (slope, inter) != (1, 0):
            field = field * slope + inter
        grid = Grid(found.shape[:3], affine)
        doubts = list(found.doubts)
        if not found.oriented:
            doubts.append("its header sets no orientation; left and right are unknown")
        for doubt in doubts:
            warnings.warn(f"{path}: {doubt}", UserWarning, stacklevel=2)
        field = np.multiply(field, to_ras, dtype=np.float32, casting="unsafe", order="C")
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


def _is_lps(found: FileHeader) -> bool:
    """Return whether the components are LPS; refuse a file without a displacement field."""
    intent = int(found.header["intent_code"])
    axes = found.shape[3:]
    if axes == (1, 3) and intent in (_DISPVECT, _VECTOR):
        return intent == _VECTOR
    if axes == (3,) and intent in (0, _DISPVECT, _VECTOR):
        return False
    raise ValueError(
        "unknown transform type; a displacement field must have the axes (x, y, z, 1, 3) with "
        "intent 1007 (ITK, LPS) or 1006 (RAS), or (x, y, z, 3) with intent 0, 1006 or 1007 (RAS). "
        f"Received: axes {found.shape}, intent {intent}"
    )


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
