"""Transforms in the files of other packages.

    ending        format                                   direction and space in the file
    .lta          FreeSurfer, affine, RAS or voxels        moving to fixed
    .txt .tfm     ITK, affine, text                        fixed to moving, LPS mm
    .mat          FSL (FLIRT), affine, text                moving to fixed, scaled voxels
    .mat          ITK (ANTs), affine, MATLAB 4             fixed to moving, LPS mm
    .nii.gz .nii  displacement field of (x, y, z, 3)       fixed to moving, RAS mm
    .nii.gz .nii  ITK, displacement field, five axes       fixed to moving, LPS mm

Where one ending stands for two formats, the content decides on reading. On writing, the names of
ANTs do: `...GenericAffine.mat` and `...Warp.nii.gz` are written for ITK and ANTs, all other names
for FSL and in RAS. In memory, all are maps from the fixed to the moving image in RAS mm; see
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
"""Endings of the files of transforms."""

_INVERSE = ":inverse"


@dataclass(frozen=True)
class TransformFile:
    """A file of a transform, and whether it is to be inverted.

    Attributes:
        path: the file.
        inverse: whether the inverse of its transform is meant.
    """

    path: Path
    inverse: bool = False

    @classmethod
    def parse(cls, text: str) -> "list[TransformFile]":
        """Take apart what a user gives: files separated by commas, in the order of the image.

        Args:
            text: such as "a.lta,b.nii.gz:inverse". A file whose own name is the text is that file.

        Raises:
            FileNotFoundError: if one does not exist.
            ValueError: if an ending is unknown, or a name is missing.
        """
        words = [text] if Path(text).is_file() else [word.strip() for word in text.split(",")]
        files = [cls(Path(word.removesuffix(_INVERSE)), word.endswith(_INVERSE)) for word in words]
        for file in files:
            transform_extension(file.path)
            if not file.path.is_file():
                raise FileNotFoundError(f"{file.path} does not exist; expected a transform")
        return files

    @property
    def needs_images(self) -> bool:
        """Whether the file means nothing without the images, as FSL's matrices do."""
        return self.path.suffix.lower() == ".mat" and b"\0" not in read_small(self.path)


def transform_extension(path: str | os.PathLike) -> str:
    """Return the ending of a file of a transform, in lower case.

    Args:
        path: a path or a file name.

    Returns:
        One of `ENDINGS`.

    Raises:
        ValueError: if it is none of them.

    Example:
        >>> transform_extension("sub-01_0GenericAffine.MAT")
        '.mat'
    """
    ending = extension(path) or Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(
            f"{path}: an unknown transform type; expected a file ending in {', '.join(ENDINGS)}"
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
        The transform from the fixed to the moving image in RAS mm, with their grids where the
        file tells them.

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
        files: in the order in which an image passes them.
        moving: moving image of the first; see `read_transform`.
        fixed: fixed image of the last. A matrix of FSL in between takes the grids that the files
            before and after it hold.

    Returns:
        Their composition.

    Raises:
        FileNotFoundError: as `read_transform`.
        ValueError: as `read_transform`.
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
    """Write a transform; the ending and the name decide on the format, as the module's docstring.

    Displacement fields are sampled on the grid of the fixed image.

    Args:
        path: file to write; an existing one is replaced.
        transform: from the fixed to the moving image.
        fixed: fixed image.
        moving: moving image.

    Raises:
        ValueError: if the ending is unknown, or the format holds affine transforms only and this
            is none.
        OSError: if the file cannot be written; it is then as it was.
    """
    ending = transform_extension(path)
    bare = Path(path).name[: -len(ending)].lower()
    if ending in {".nii", ".nii.gz"}:
        write_displacement_field(path, transform, fixed=fixed, itk=bare.endswith("warp"))
        return
    transform = compose(transform)
    if not isinstance(transform, Affine):
        raise ValueError(f"{path}: {ending} holds affine transforms only; write a .nii.gz")
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
