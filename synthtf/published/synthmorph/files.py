"""What SynthMorph reads and writes: transforms and images."""

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np

from synthtf.data.grid import Grid
from synthtf.data.paths import extension
from synthtf.data.transforms import Affine, Displacement, Transform
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.data.whole_files import write_whole
from synthtf.interop import read_transform
from synthtf.interop.lta import write_lta
from synthtf.published.synthmorph.directions import Direction

FIELDS = (".nii.gz", ".nii", ".mgz", ".mgh")
"""Endings of files of displacement fields."""

_MGH = (".mgz", ".mgh")
_DISPVECT = 1006  # intent of NIfTI: displacements in mm, RAS


def read_trans(path: str | os.PathLike) -> Transform:
    """Read a transform that SynthMorph or another package wrote.

    Args:
        path: an LTA, a displacement field as NIfTI or as frames of an .mgz, or what else
            `synthtf.interop.read_transform` reads.

    Returns:
        The transform from the fixed to the moving image, in RAS mm.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no transform.
    """
    if extension(path) not in _MGH:
        return read_transform(path)
    volume = read_volume(path, frames=True)
    if volume.data.shape[volume.ndim :] != (3,):
        raise ValueError(
            f"{path} must hold a displacement field of three frames. Received: {volume.data.shape}"
        )
    return Displacement(volume.data, volume.affine, Grid.of(volume))


def write_trans(path: str | os.PathLike, found: Direction) -> None:
    """Write a transform: an LTA of a matrix, else a displacement field in mm, RAS.

    Args:
        path: file to write.
        found: the transform.

    Raises:
        OSError: if the file cannot be written.
    """
    if found.is_affine:
        write_lta(path, Affine(found.world), fixed=found.target, moving=found.source)
    elif extension(path) in _MGH:
        write_volume(path, found.field(), affine=found.target.affine)
    else:
        image = nib.Nifti1Image(found.field()[:, :, :, None], found.target.affine)
        image.header.set_intent(_DISPVECT)
        image.header.set_xyzt_units("mm")
        image.header.set_sform(found.target.affine, code="scanner")
        data = image.to_bytes()
        # No time in the stream: equal fields give equal files.
        packed = extension(path) == ".nii.gz"
        write_whole(path, gzip.compress(data, 4, mtime=0) if packed else data)


def write_moved(path: str | os.PathLike, found: Direction, header_only: bool = False) -> None:
    """Write the moved source of a direction.

    Args:
        path: file to write.
        found: the transform, and what it moves.
        header_only: whether the source keeps its voxels, and gets another place.

    Raises:
        OSError: if the file cannot be written.
    """
    if header_only:
        write_placed(path, found.source, found.world)
    else:
        write_volume(path, found.moved(), like=found.target, dtype="float32")


def write_placed(path: str | os.PathLike, image: Volume, matrix: np.ndarray) -> None:
    """Write an image in its own type of numbers at another place.

    Args:
        path: file to write.
        image: the image.
        matrix: `(4, 4)`, from RAS mm of the new place to RAS mm of the image.

    Raises:
        OSError: if the file cannot be written.
    """
    affine = np.linalg.inv(matrix) @ image.affine
    stored = np.dtype("float32") if image.header is None else image.header.get_data_dtype()
    kept = stored.kind == "f" or np.array_equal(image.data, np.round(image.data))
    data = image.data.astype(stored) if kept else image.data
    write_volume(path, data, like=image, affine=affine, dtype=stored if kept else "float32")


def check_endings(path: str | os.PathLike, argument: str, endings: tuple[str, ...]) -> None:
    """Refuse a file of another kind.

    Raises:
        ValueError: if its name ends otherwise, or it is a folder.
    """
    if Path(path).is_dir():
        raise ValueError(f"{argument} must be a file. Received: the folder {path}")
    if not str(path).lower().endswith(endings):
        raise ValueError(f"{argument} must end in {' or '.join(endings)}. Received: {path}")
