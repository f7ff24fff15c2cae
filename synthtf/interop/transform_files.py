"""Transforms in the files of other packages.

    ending        format                                   direction and space in the file
    .lta          FreeSurfer, affine, RAS or voxels        moving to fixed
    .txt .tfm     ITK, affine, text                        fixed to moving, LPS mm
    .mat          FSL (FLIRT), affine, text                moving to fixed, scaled voxels
    .mat          ITK (ANTs), affine, MATLAB 4             fixed to moving, LPS mm
    .nii.gz .nii  displacement field of (x, y, z, 3)       fixed to moving, RAS mm
    .nii.gz .nii  ITK, displacement field, five axes       fixed to moving, LPS mm
    .nii.gz .nii  SPM, NiftyReg, field of positions        fixed to moving, RAS mm; read only

Two formats may share an ending. The content decides when a file is read, and the name when it is
written: `...GenericAffine.mat` and `...Warp.nii.gz` are written for ITK and ANTs, other names for
FSL and in RAS. In memory, all are maps from the fixed to the moving image in RAS mm; see
`synthtf.data.transforms`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthtf.data.contents import no_file
from synthtf.data.grid import Grid
from synthtf.data.paths import extension
from synthtf.data.transforms import Affine, Transform, compose
from synthtf.data.volumes import Volume
from synthtf.interop import displacement_field, fsl, itk, lta
from synthtf.interop.transform_format import TransformFormat

FORMATS: tuple[TransformFormat, ...] = (
    lta.LTA,
    itk.TEXT,
    itk.BINARY,
    fsl.FLIRT,
    displacement_field.ITK_FIELD,
    displacement_field.RAS_FIELD,
)
"""All formats; of those with one ending, the first that fits is taken."""

ENDINGS = tuple(dict.fromkeys(ending for known in FORMATS for ending in known.endings))
"""Endings of the files of transforms."""

_INVERSE = ":inverse"
_CONVERTERS = {
    ".m3z": "mri_warp_convert",
    ".mgz": "mri_warp_convert",
    ".h5": "CompositeTransformUtil --disassemble",
    ".hdf5": "CompositeTransformUtil --disassemble",
    ".xfm": "lta_convert --inmni ... --outlta",
    ".dat": "lta_convert --inreg ... --outlta",
    ".1d": "cat_matvec",
}


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
                raise FileNotFoundError(f"{no_file(file.path)}; give a transform")
        return files

    @property
    def needs_images(self) -> bool:
        """Whether reading the file needs the images, as for FSL's matrices."""
        return _format_of(self.path).needs_images


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
            + (f"; convert it with {_CONVERTERS[ending]}" if ending in _CONVERTERS else "")
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
    return _format_of(path).read(Path(path), fixed, moving)


def _format_of(path: str | os.PathLike) -> TransformFormat:
    """Find the format of a file by its ending, and by its content where several have it."""
    ending = transform_extension(path)
    known = [each for each in FORMATS if ending in each.endings]
    return next(each for each in known if each is known[-1] or each.holds(Path(path)))


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
    known = [each for each in FORMATS if ending in each.endings]
    chosen = next(each for each in known if each.is_name(bare))
    if chosen.only_affine:
        transform = compose(transform)
        if not isinstance(transform, Affine):
            raise ValueError(f"{path}: {ending} holds only affine transforms; write a .nii.gz")
    chosen.write(Path(path), transform, fixed, moving)


def _read_one(
    file: TransformFile,
    moving: Volume | Grid | None = None,
    fixed: Volume | Grid | None = None,
) -> Transform:
    if file.inverse:
        return read_transform(file.path, moving=fixed, fixed=moving).inverse()
    return read_transform(file.path, moving=moving, fixed=fixed)
