"""FSL's matrices, as FLIRT writes them: text with four rows of four numbers.

The matrix maps the moving image (`-in`) to the fixed image (`-ref`), in coordinates of FSL: voxel
coordinates times the voxel size, with the first axis reversed if the determinant of the image's
affine is positive. It is defined only together with the shape and the affine of both images. Where
the voxel size in a header, pixdim, is not that of the affine, FSL takes the one in pixdim.

Reference:
    Jenkinson et al., NeuroImage, 2002; FSL's FLIRT FAQ, "What is the format of the matrix";
    fslpy, `fsl.transform.flirt`.
"""

import os
import warnings

import nibabel as nib
import numpy as np

from synthtf.data.grid import Grid, invertible
from synthtf.data.transforms import Affine
from synthtf.data.volumes import Volume
from synthtf.data.whole_files import write_whole
from synthtf.interop.small_files import naming, parse_numbers, read_text
from synthtf.interop.transform_format import TransformFormat

_SAME = 1e-3  # relative; FSL's headers are in single precision


def read_fsl(
    path: str | os.PathLike, *, fixed: Volume | Grid | None, moving: Volume | Grid | None
) -> Affine:
    """Read a matrix of FLIRT.

    Args:
        path: path of a text file with four rows of four numbers.
        fixed: fixed image (FLIRT's `-ref`).
        moving: moving image (FLIRT's `-in`).

    Returns:
        The transform, with the grids of both images.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is malformed, the matrix singular, or an image is missing.

    Warns:
        UserWarning: if the voxel size in the header of an image is not that of its affine.
    """
    text = read_text(path)
    with naming(path):
        rows = [line.split() for line in text.splitlines() if line.strip()]
        if [len(row) for row in rows] != [4, 4, 4, 4]:
            raise ValueError("an FSL matrix must have four rows of four numbers")
        matrix = parse_numbers([word for row in rows for word in row], "its matrix")
        to_moving = np.linalg.inv(invertible(matrix.reshape(4, 4)))
        for image, name in ((fixed, "fixed"), (moving, "moving")):
            if image is None:
                raise ValueError(
                    f"an FSL matrix needs both images, and the {name} image is missing; give it "
                    "(on the command line, with --like)"
                )
        matrix = np.linalg.inv(_to_fsl(moving)) @ to_moving @ _to_fsl(fixed)
        return Affine(matrix, Grid.of(fixed), Grid.of(moving))


def write_fsl(
    path: str | os.PathLike,
    transform: Affine,
    *,
    fixed: Volume | Grid,
    moving: Volume | Grid,
) -> None:
    """Write a matrix for FLIRT's `-applyxfm -init`.

    Args:
        path: file to write.
        transform: transform from the fixed to the moving image.
        fixed: fixed image (FLIRT's `-ref`).
        moving: moving image (FLIRT's `-in`).

    Raises:
        OSError: if the file cannot be written.
    """
    from_fixed, from_moving = _to_fsl(fixed), _to_fsl(moving)
    matrix = from_fixed @ np.linalg.inv(from_moving @ transform.matrix)
    lines = ["  ".join(f"{number:.12g}" for number in row) for row in matrix]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def _to_fsl(image: Volume | Grid) -> np.ndarray:
    """Return the matrix from RAS mm to FSL's coordinates of an image."""
    grid, spacing = Grid.of(image), _spacing(image)
    scaled = np.diag([*spacing, 1.0])
    if np.linalg.det(grid.affine[:3, :3]) > 0:
        scaled[0, 0] = -spacing[0]
        scaled[0, 3] = (grid.shape[0] - 1) * spacing[0]
    return scaled @ np.linalg.inv(grid.affine)


def _spacing(image: Volume | Grid) -> np.ndarray:
    """Return the voxel size that FSL takes: that of the header, where there is one."""
    affine = Grid.of(image).affine
    used = np.linalg.norm(affine[:3, :3], axis=0)
    header = getattr(image, "header", None)
    # A volume that was moved has the header of another place.
    if not isinstance(header, nib.Nifti1Header) or not np.allclose(
        header.get_best_affine()[:3, : image.ndim], affine[:3, : image.ndim], rtol=_SAME, atol=_SAME
    ):
        return used
    stored = np.asarray(header["pixdim"][1:4], "float64")
    axes = slice(image.ndim)  # a 2D image may have any number for the third
    if np.allclose(stored[axes], used[axes], rtol=_SAME, atol=0):
        return used
    warnings.warn(
        f"{image.name}: FSL's matrix is in voxels of {' x '.join(f'{mm:.4g}' for mm in stored)} "
        "mm, its pixdim, as FSL has it; correct the header before the registration",
        UserWarning,
        stacklevel=3,
    )
    return np.array([*stored[axes], *used[image.ndim :]])


FLIRT = TransformFormat(
    (".mat",),
    read=lambda path, fixed, moving: read_fsl(path, fixed=fixed, moving=moving),
    write=lambda path, transform, fixed, moving: write_fsl(
        path, transform, fixed=fixed, moving=moving
    ),
    needs_images=True,
)
