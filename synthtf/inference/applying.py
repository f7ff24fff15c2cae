"""Moving images, label maps and points by a transform."""

import math
import warnings

import numpy as np

from synthtf.data.grid import Grid
from synthtf.data.resampling import sample
from synthtf.data.transforms import Transform
from synthtf.data.volumes import Volume
from synthtf.inference.conform import MAX_VOXELS
from synthtf.inference.defaults import FILL, INTERPOLATIONS

_EDGE = 0.5 + 1e-4  # voxels; headers in float32 place border voxels no better


def apply_transform(
    volume: Volume,
    transform: Transform,
    *,
    like: Volume | None = None,
    interpolation: str = INTERPOLATIONS[0],
    fill: float = FILL,
) -> Volume:
    """Move an image or a label map by a transform, with one resampling.

    A voxel reaches half of its size around its centre, as in ITK: that far the border continues
    outwards, and beyond it the result is `fill`.

    Args:
        volume: Moving image, 2D or 3D, with or without frames; each frame is moved. A 2D image
            is a slice one voxel thick.
        transform: From the fixed to the moving image.
        like: Volume whose grid the result has. By default, the grid of the transform's fixed
            image, where it is known; else that of `volume`.
        interpolation: "linear", or "nearest" for label maps.
        fill: Value where the moving image does not reach.

    Returns:
        The moved volume on that grid: float32 with "linear", the type of `volume` with "nearest".
        It has the header of `like`, or of `volume` where it is on its grid, else none.

    Raises:
        ValueError: If the interpolation is unknown, `fill` is not finite or does not fit the type
            of the result, or the grid is too large.

    Warns:
        UserWarning: If no voxel of the result lies in the moving image.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"expected an interpolation of {', '.join(INTERPOLATIONS)}, received {interpolation!r}"
        )
    target = _target(volume, transform, like)
    grid, source = Grid.of(target), Grid.of(volume)
    linear = interpolation == "linear"
    data = volume.data.astype(np.float32, copy=False) if linear else volume.data
    frames = data.reshape(*source.shape, -1)
    _check_fill(fill, data.dtype)
    moved = np.full((*grid.shape, frames.shape[-1]), fill, data.dtype)
    met = False
    for rows, points in grid.slabs():
        voxels = source.to_voxels(transform(points))
        inside = (np.abs(voxels - (np.array(source.shape) - 1) / 2) <= _reach(source)).all(-1)
        if inside.any():
            met = True
            moved[rows][inside] = sample(frames, voxels[inside].T, nearest=not linear)
    if not met:
        warnings.warn(
            f"{volume.name}: no voxel of the result lies in the image, all are {fill:g}; is the "
            "transform, or its direction, that of the image?",
            UserWarning,
            stacklevel=2,
        )
    shape = (*target.shape, *volume.data.shape[volume.ndim :])
    return Volume(moved.reshape(shape), target.affine, target.header, ndim=target.ndim)


def apply_to_points(points: np.ndarray, transform: Transform) -> np.ndarray:
    """Move points with the image that they lie in: from the moving to the fixed image.

    A transform maps points of the fixed image to the moving one, since that is what resampling
    needs. Landmarks of the moving image therefore go the other way, by the inverse, and end where
    `apply_transform` brings what was under them. (`antsApplyTransformsToPoints` does not invert;
    that is `transform(points)` here.)

    Args:
        points: `(..., 3)` RAS coordinates in mm in the moving image.
        transform: From the fixed to the moving image.

    Returns:
        `(..., 3)` RAS coordinates in mm in the fixed image.

    Raises:
        ValueError: If the points are not `(..., 3)`.

    Warns:
        UserWarning: If the transform has no inverse at some points.
    """
    return transform.inverse_at(points)


def _target(volume: Volume, transform: Transform, like: Volume | None) -> Volume:
    """Volume with the geometry of the result; its voxels are of no concern."""
    if like is None and transform.fixed is None:
        like = volume
    if like is None:
        shape, affine, header = transform.fixed.shape, transform.fixed.affine, None
        # A third axis of length one is a 2D image, as in files.
        shape = shape[:2] if shape[2] == 1 else shape
    else:
        shape, affine, header = like.shape, like.affine, like.header
    if math.prod(shape) > MAX_VOXELS:
        raise ValueError(f"expected a grid of at most {MAX_VOXELS:,} voxels, received {shape}")
    return Volume(np.broadcast_to(np.uint8(0), shape), affine, header, ndim=len(shape))


def _check_fill(fill: float, dtype: np.dtype) -> None:
    if not math.isfinite(fill):
        raise ValueError(f"expected a finite number to fill with, received {fill}")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if fill != int(fill) or not limits.min <= fill <= limits.max:
            raise ValueError(f"expected a number to fill with that is {dtype}, received {fill:g}")


def _reach(source: Grid) -> np.ndarray:
    """How far the image reaches from its centre along each axis, in voxels."""
    return (np.array(source.shape) - 1) / 2 + _EDGE
