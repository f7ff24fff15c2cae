"""From a file to what SynthSeg's networks are given."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthtf.data.volumes import Volume
from synthtf.published.alignment import (
    Orientation,
    needs_resampling,
    read_scan,
    resample_to_1mm,
)

MULTIPLE = 32
"""Sizes that the networks are given are multiples of this."""

_LEAST = 128  # voxels that the networks are given along an axis, at least
_CT = (0, 80)  # Hounsfield units
_PERCENTILES = (0.5, 99.5)

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan for the networks.

    Attributes:
        image: `(x, y, z)` float32 in [0, 1], along right, anterior and superior, padded.
        inner: what of it is not padding.
        crop: where this lies in the whole volume.
        shape: voxels of the whole volume, in the orientation of `image`.
        orientation: orientation of the whole volume, before it was turned.
        affine: affine of the whole volume, before it was turned.
        voxel: volume of a voxel in mm³.
        source: the scan as it was read, without its intensities.
        resampled: the scan with voxels of 1 mm, in its own orientation, if it was resampled.
    """

    image: np.ndarray
    inner: Box
    crop: Box
    shape: tuple[int, int, int]
    orientation: Orientation
    affine: np.ndarray
    voxel: float
    source: Volume
    resampled: np.ndarray | None


@dataclass(frozen=True)
class Preparation:
    """How scans are prepared.

    Attributes:
        ct: whether intensities are in Hounsfield units, and clipped to soft tissue.
        crop: voxels per axis of a patch in the centre, or for all axes; None for the whole scan.
        autocrop: whether to crop to what is not background.
    """

    ct: bool = False
    crop: Sequence[int] | None = None
    autocrop: bool = False

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises:
            ValueError: if they are neither one nor three, or not positive, or there are two crops.
        """
        if self.crop is not None:
            crop = tuple(int(size) for size in self.crop)
            if len(crop) not in (1, 3) or min(crop) < 1:
                raise ValueError(
                    f"--crop must be one size or three, at least 1. Received: {list(self.crop)}"
                )
            if self.autocrop:
                raise ValueError("--autocrop cannot be used with --crop")
            object.__setattr__(self, "crop", crop * 3 if len(crop) == 1 else crop)

    def __call__(self, path: str | os.PathLike) -> Prepared:
        """Read and prepare a scan.

        Args:
            path: a volume file, see `read_scan`.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file cannot be read as a scan.
        """
        scan = read_scan(path)
        data, affine, spacing = scan.volume.data, scan.volume.affine, scan.spacing
        resampled = None
        if needs_resampling(spacing):
            data, affine = resample_to_1mm(data, affine)
            spacing, resampled = (1.0, 1.0, 1.0), data
        orientation = Orientation.of(affine)
        data = orientation.apply(data)
        shape = data.shape
        crop = tuple(slice(0, n) for n in shape)
        if self.crop is not None:
            crop = _centred(shape, [_round_up(n) for n in self.crop])
            data = data[crop]
        image = _normalize(np.clip(data, *_CT) if self.ct else data)
        if self.autocrop:
            crop = _foreground(image)
            image = image[crop]
        least = self.crop or (_LEAST,) * 3
        image, inner = _pad(image, [_round_up(n) for n in least])
        voxel = float(np.prod(spacing))
        nothing = np.broadcast_to(np.float32(0), scan.volume.shape)
        source = Volume(nothing, scan.volume.affine, scan.volume.header, scan.volume.path)
        return Prepared(image, inner, crop, shape, orientation, affine, voxel, source, resampled)


def _round_up(size: int) -> int:
    return -(-int(size) // MULTIPLE) * MULTIPLE


def _centred(shape: Sequence[int], sizes: Sequence[int]) -> Box:
    starts = [max(int((n - size) / 2), 0) for n, size in zip(shape, sizes, strict=True)]
    return _box(starts, sizes, shape)


def _box(starts: Sequence[int], sizes: Sequence[int], shape: Sequence[int]) -> Box:
    places = zip(starts, sizes, shape, strict=True)
    return tuple(slice(start, min(start + size, n)) for start, size, n in places)


def _foreground(image: np.ndarray) -> Box:
    """Box of the voxels above 0, grown to a multiple of 32; everything if there are none."""
    found = [np.flatnonzero((image > 0).any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    if not len(found[0]):
        return tuple(slice(0, n) for n in image.shape)
    extents = [axis[-1] - axis[0] + 2 for axis in found]
    sizes = [_round_up(extent) for extent in extents]
    starts = [
        max(int(axis[0]) - (size - extent) // 2, 0)
        for axis, size, extent in zip(found, sizes, extents, strict=True)
    ]
    return _box([int(s) for s in starts], sizes, image.shape)


def _normalize(data: np.ndarray) -> np.ndarray:
    low, high = np.percentile(data, _PERCENTILES)
    if low == high:
        return np.zeros(data.shape, np.float32)
    return ((np.clip(data, low, high) - low) / (high - low)).astype(np.float32)


def _pad(image: np.ndarray, least: Sequence[int]) -> tuple[np.ndarray, Box]:
    sizes = [max(_round_up(n), size) for n, size in zip(image.shape, least, strict=True)]
    padded = np.zeros(sizes, np.float32)
    starts = [(size - n) // 2 for n, size in zip(image.shape, sizes, strict=True)]
    inner = tuple(slice(start, start + n) for start, n in zip(starts, image.shape, strict=True))
    padded[inner] = image
    return padded, inner
