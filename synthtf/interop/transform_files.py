"""Transforms in the files of other packages.

    ending        format                                   direction and space in the file
    .lta          FreeSurfer, affine, RAS or voxels        moving to fixed
    .txt .tfm     ITK, affine, text                        fixed to moving, LPS mm
    .mat          FSL (FLIRT), affine, text                moving to fixed, scaled voxels
    .mat          ITK (ANTs), affine, MATLAB 4             fixed to moving, LPS mm
    .nii.gz .nii  displacement field of (x, y, z, 3)       fixed to moving, RAS mm
    .nii.gz .nii  ITK, displacement field, five axes       fixed to moving, LPS mm

Two formats may share an ending. The content decides when a file is read, and the name when it is
written: `...GenericAffine.mat` and `...Warp.nii.gz` are written for ITK and ANTs, other names for
FSL and in RAS. In memory, all are maps from the fixed to the moving image in RAS mm; see
`synthtf.data.transforms`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthtf.data.grid import Grid
from synthtf.data.paths import extension
from synthtf.data.transforms import Affine, Transform, compose
from synthtf.data.volumes import Volume
from synthtf.interop.displacement_field import read_displacement_field, write_displacement_field
from synthtf.interop.fsl import read_fsl, write_fsl
from synthtf.interop.itk import read_itk, write_itk
from synthtf.interop.lta import read_lta, write_lta
from synthtf.interop.small_files import read_small

ENDINGS = (".lta", ".txt", ".tfm", ".mat", ".nii.gz", ".nii")
"""Endings of transform files."""

_INVERSE = ":inverse"


@dataclass(frozen=True)
class TransformFile:
    """A transform file, and whether to invert its transform.

    Attributes:
        path: path of the file.
        inverse: whether to invert the transform.
    """

    path: Path
    inverse: bool = False

    @classmethod
    def parse(cls, text: str) -> "list[TransformFile]":
        """Parse the user's text: files separated by commas, in the order in which an image moves.

        Args:
            text: text such as "a.lta,b.nii.gz:inverse", or the name of one existing file.

        Returns:
            The files.

        Raises:
            FileNotFoundError: if a file does not exist.
            ValueError: if an ending is unknown, or a name is missing.
        """
        words = [text] if Path(text).is_file() else [word.strip() for word in text.split(",")]
        files = [cls(Path(word.removesuffix(_INVERSE)), word.endswith(_INVERSE)) for word in words]
        for file in files:
            transform_extension(file.path)
            if not file.path.is_file():
                raise FileNotFoundError(f"{file.path} does not exist; give a transform")
        return files

    @property
    def needs_images(self) -> bool:
        """Whether reading the file needs the images, as for FSL's matrices."""
        return self.path.suffix.lower() == ".mat" and b"\0" not in read_small(self.path)


def transform_extension(path: str | os.PathLike) -> str:
    """Return the ending of a transform file, in lower case.

    Args:
        path: a path or a file name.

    Returns:
        One of `ENDINGS`.

    Raises:
        ValueError: if the ending is unknown.

    Example:
        >>> transform_extension("sub-01_0GenericAffine.MAT")
        '.mat'
    """
    ending = extension(path) or Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(
            f"{path}: unknown transform type; the ending must be one of {', '.join(ENDINGS)}"
        )
    return ending


def read_transform(
    path: str | os.PathLike,
    *,
    moving: Volume | Grid | None = None,
    fixed: Volume | Grid | None = None,
) -> Transform:
    """Read a transform; the module's docstring lists the formats.

    Args:
        path: file to read.
        moving: moving image; only FSL's matrices need it.
        fixed: fixed image; only FSL's matrices need it.

    Returns:
        The transform from the fixed to the moving image in RAS mm, with their grids if the file
        holds them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is malformed or of an unknown type, its matrix is not invertible,
            or an image that it needs is missing.
    """
    ending = transform_extension(path)
    if ending == ".lta":
        return read_lta(path)
    if ending in {".nii", ".nii.gz"}:
        return read_displacement_field(path)
    if TransformFile(Path(path)).needs_images:
        return read_fsl(path, fixed=fixed, moving=moving)
    return read_itk(path)


def read_transforms(
    files: Sequence[TransformFile],
    *,
    moving: Volume | Grid | None = None,
    fixed: Volume | Grid | None = None,
) -> Transform:
    """Read several transforms as one.

    Args:
        files: transform files in the order in which an image passes them.
        moving: moving image of the first transform; see `read_transform`.
        fixed: fixed image of the last transform. A matrix of FSL in between takes the grids from
            the files before and after it.

    Returns:
        The composition of the transforms.

    Raises:
        FileNotFoundError: as in `read_transform`.
        ValueError: as in `read_transform`.
    """
    parts: list[Transform | None] = [
        None if file.needs_images else _read_one(file) for file in files
    ]
    for index, file in enumerate(files):
        if parts[index] is None:
            before = moving if index == 0 else parts[index - 1].fixed
            after = fixed if index == len(files) - 1 else getattr(parts[index + 1], "moving", None)
            parts[index] = _read_one(file, before, after)
    return compose(*parts)


def write_transform(
    path: str | os.PathLike,
    transform: Transform,
    *,
    fixed: Volume | Grid,
    moving: Volume | Grid,
) -> None:
    """Write a transform in the format of its name; the module's docstring lists the formats.

    Displacement fields are sampled on the grid of the fixed image.

    Args:
        path: file to write; an existing one is replaced.
        transform: transform from the fixed to the moving image.
        fixed: fixed image.
        moving: moving image.

    Raises:
        ValueError: if the ending is unknown, or the format holds only affine transforms and this
            one is not affine.
        OSError: if the file cannot be written; an existing file is then unchanged.
    """
    ending = transform_extension(path)
    bare = Path(path).name[: -len(ending)].lower()
    if ending in {".nii", ".nii.gz"}:
        write_displacement_field(path, transform, fixed=fixed, itk=bare.endswith("warp"))
        return
    transform = compose(transform)
    if not isinstance(transform, Affine):
        raise ValueError(f"{path}: {ending} holds only affine transforms; write a .nii.gz")
    if ending == ".lta":
        write_lta(path, transform, fixed=fixed, moving=moving)
    elif ending in {".txt", ".tfm"}:
        write_itk(path, transform)
    elif bare.endswith("genericaffine"):
        write_itk(path, transform, binary=True)
    else:
        write_fsl(path, transform, fixed=fixed, moving=moving)


def _read_one(
    file: TransformFile,
    moving: Volume | Grid | None = None,
    fixed: Volume | Grid | None = None,
) -> Transform:
    if file.inverse:
        return read_transform(file.path, moving=fixed, fixed=moving).inverse()
    return read_transform(file.path, moving=moving, fixed=fixed)
