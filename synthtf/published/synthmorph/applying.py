"""Applying a transform to images, as `mri_synthmorph apply` does."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthtf.batch import Outcome, for_each_file
from synthtf.data.grid import Grid
from synthtf.data.paths import EXTENSIONS, refuse_clashes
from synthtf.data.transforms import Affine, Transform
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.published.surfa_space import interpolate, nearest, sample_linear, sample_nearest
from synthtf.published.synthmorph.defaults import METHODS, TYPES
from synthtf.published.synthmorph.files import check_endings, read_trans, write_placed
from synthtf.usage import usage_errors


def apply_trans(
    trans: str | os.PathLike,
    images: Sequence[str | os.PathLike],
    outputs: Sequence[str | os.PathLike],
    *,
    method: str = METHODS[0],
    dtype: str = TYPES[-1],
    fill: float = 0,
    header_only: bool = False,
) -> Outcome:
    """Move images by a transform, and write them; one bad image never stops the others.

    Args:
        trans: file of the transform.
        images: files of the images.
        outputs: for each, the file that it becomes.
        method: one of `METHODS`.
        dtype: one of `TYPES`, the type of the numbers that are stored.
        fill: value outside of an image.
        header_only: whether images keep their voxels and get another header.

    Returns:
        How many were moved, and which failed and why.

    Raises:
        ValueError: if the transform or the outputs do not fit.
        FileNotFoundError: if there is no transform.
    """
    with usage_errors():
        transform = read_trans(trans)
        if header_only and not isinstance(transform, Affine):
            raise ValueError(f"-H: a header cannot hold the deformation {trans}")
        if len(images) != len(outputs):
            raise ValueError(
                f"each image needs an output. Received: {len(images)} images and {len(outputs)}"
            )
        for output in outputs:
            check_endings(output, "an output", tuple(EXTENSIONS))
        files = [(Path(i), Path(o)) for i, o in zip(images, outputs, strict=True)]
        refuse_clashes(*map(list, zip(*files, strict=True)), [Path(trans)])

    def work(pair: tuple[Path, Path]) -> None:
        image = read_volume(pair[0], frames=True, dtype="float64")  # large labels stay exact
        if image.data.shape[-1] == 1 and image.data.ndim > image.ndim:
            image = replace(image, data=image.data[..., 0])
        if header_only:
            write_placed(pair[1], image, transform.matrix)
            return
        moved = move(image, transform, method, fill)
        target = Grid.of(transform.fixed or image)
        write_volume(pair[1], _as_type(moved, dtype), affine=target.affine, dtype=dtype)

    return for_each_file("synthmorph apply", files, work, name=lambda pair: pair[0], skipped=0)


def move(
    image: Volume, transform: Transform, method: str = METHODS[0], fill: float = 0
) -> np.ndarray:
    """Resample an image on the grid of the transform's fixed image, else on its own.

    Args:
        image: `(x, y, z)`, or with frames.
        transform: from the fixed image to this one, in RAS mm.
        method: one of `METHODS`.
        fill: value outside.

    Returns:
        Voxels, with frames if the image has them. float32 with "linear", else of the
        type of the image.

    Raises:
        ValueError: if the image is not 3D, or the method is unknown.
    """
    if image.ndim != 3:
        raise ValueError(f"{image.name} must be a volume of three axes. Received: {image.shape}")
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {METHODS}. Received: method={method!r}")
    linear = method == "linear"
    target = Grid.of(transform.fixed or image)
    frames = image.data.reshape(*image.shape, -1)
    result = np.empty((*target.shape, frames.shape[-1]), "float32" if linear else frames.dtype)
    to_voxels = np.linalg.inv(image.affine)
    if isinstance(transform, Affine):
        sample = sample_linear if linear else sample_nearest
        matrix = to_voxels @ transform.matrix @ target.affine
        for index in range(frames.shape[-1]):
            result[..., index] = sample(frames[..., index], matrix, target.shape, fill)
    else:
        look_up = interpolate if linear else nearest
        for rows, points in target.slabs():
            voxels = transform(points) @ to_voxels[:3, :3].T + to_voxels[:3, 3]
            places = np.moveaxis(voxels, -1, 0).astype("float32")
            for index in range(frames.shape[-1]):
                frame = frames[..., index].astype(result.dtype)
                result[rows][..., index] = look_up(frame, places, fill)
    return result.reshape(*target.shape, *image.data.shape[3:])


def _as_type(data: np.ndarray, dtype: str) -> np.ndarray:
    """Round to whole numbers in the range of a type, if it is one of whole numbers."""
    if np.dtype(dtype).kind == "f":
        return data
    limits = np.iinfo(dtype)
    return np.rint(data.astype("float64")).clip(limits.min, limits.max).astype(dtype)
