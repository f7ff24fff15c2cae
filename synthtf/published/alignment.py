"""From a file to voxels of 1 mm along right, anterior and superior, and back.

What SynthSeg and SynthSR do before their networks. Nothing is interpolated to change the
orientation: axes are swapped and flipped.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthtf.data.volumes import Volume, read_volume
from synthtf.messages import describe

CHANNELS = 10
"""Most frames of a file that count as channels of one scan."""

_SAME = 0.05  # mm by which a voxel may differ from 1 mm
_BLUR = 0.25  # voxels of the scan per voxel of the result


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan as it was read.

    Attributes:
        volume: voxels, `(x, y, z)` float64, with affine, header and path.
        spacing: mm per voxel along each axis, as the header says it; `volume.spacing` is what the
            affine says.
    """

    volume: Volume
    spacing: tuple[float, float, float]


def read_scan(path: str | os.PathLike, average: bool = True) -> Scan:
    """Read a scan in double precision.

    Args:
        path: a .nii, .nii.gz, .mgz or .mgh file, or an .npz file with the array `vol_data`, which
            has voxels of 1 mm along right, anterior and superior.
        average: whether several channels become their mean; if not, the first is kept.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, is not 3D, or has too many frames.

    Warns:
        UserWarning: if something is doubtful.
    """
    path = Path(path)
    volume = _read_npz(path) if path.suffix == ".npz" else _read_volume(path)
    data = volume.data
    if data.ndim == 4:
        if data.shape[3] > CHANNELS:
            raise ValueError(
                f"{path}: a scan must have at most {CHANNELS} channels; extract a frame. "
                f"Received: {data.shape[3]} frames"
            )
        data = data.mean(axis=3) if average and data.shape[3] > 1 else data[..., 0]
    if data.ndim != 3 or volume.ndim != 3:
        raise ValueError(f"{path} must be a volume of three axes. Received: {data.shape}")
    volume = Volume(data, volume.affine, volume.header, path)
    return Scan(volume, _header_spacing(volume))


def _read_volume(path: Path) -> Volume:
    return read_volume(path, frames=True, dtype="float64")


def _read_npz(path: Path) -> Volume:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give a scan")
    try:
        with np.load(path, allow_pickle=False) as file:
            data = np.asarray(file["vol_data"], "float64")
    except (OSError, KeyError, TypeError, ValueError, EOFError) as error:
        reason = describe(error)
        raise ValueError(
            f"{path} must be an .npz file with an array vol_data ({reason})"
        ) from error
    return Volume(np.nan_to_num(np.squeeze(data), posinf=0, neginf=0), np.eye(4), None, path, 3)


def _header_spacing(volume: Volume) -> tuple[float, float, float]:
    zooms = () if volume.header is None else volume.header.get_zooms()[:3]
    if len(zooms) == 3 and np.isfinite(zooms).all() and min(zooms) > 0:
        return tuple(float(size) for size in zooms)
    return volume.spacing


def needs_resampling(spacing: tuple[float, ...]) -> bool:
    """Whether a scan is resampled: the size of a voxel differs from 1 mm by more than 0.05 mm.

    Args:
        spacing: mm per voxel.

    Example:
        >>> needs_resampling((1.04, 1.0, 1.0)), needs_resampling((1.0, 0.9, 1.0))
        (False, True)
    """
    return any(size > 1 + _SAME or size < 1 - _SAME for size in spacing)


def resample_to_1mm(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Resample all axes of a volume to 1 mm, by linear interpolation after a slight blur.

    Axes with voxels below 1 mm, or of exactly 1 mm, are blurred first. The outer borders of the
    first and the last voxel stay where they are, but for what rounding up the size adds.

    Args:
        data: `(x, y, z)`.
        affine: `(4, 4)`, from voxels to mm.

    Returns:
        The volume, float64, and its affine.
    """
    from scipy.ndimage import gaussian_filter

    ratios = np.sqrt((affine[:3, :3] ** 2).sum(0))
    sigmas = np.where(ratios <= 1, _BLUR / ratios, 0)
    data = gaussian_filter(data, sigmas)
    for axis, ratio in enumerate(ratios):
        data = _interpolate(data, axis, ratio)
    matrix = affine.copy()
    matrix[:3, :3] /= ratios
    matrix[:3, 3] -= matrix[:3, :3] @ (0.5 * (ratios - 1))
    return data, matrix


def _interpolate(data: np.ndarray, axis: int, ratio: float) -> np.ndarray:
    size = data.shape[axis]
    places = -(ratio - 1) / (2 * ratio) + np.arange(int(np.ceil(size * ratio))) / ratio
    places = np.clip(places, 0, size - 1)
    low = np.minimum(places.astype(int), max(size - 2, 0))
    weights = (places - low).reshape([-1 if a == axis else 1 for a in range(data.ndim)])
    lower = np.take(data, low, axis)
    return lower + weights * (np.take(data, np.minimum(low + 1, size - 1), axis) - lower)


@dataclass(frozen=True)
class Orientation:
    """Swaps and flips of axes that bring a volume to right, anterior, superior.

    Attributes:
        axes: axis of the volume that becomes each axis of the result.
        flips: whether each axis of the result is flipped.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def of(cls, affine: np.ndarray) -> "Orientation":
        """Find them for a volume.

        Args:
            affine: `(4, 4)`, from voxels to RAS mm.
        """
        axes = np.abs(np.linalg.inv(affine)[:3, :3]).argmax(axis=0)
        for axis in range(3):
            # Between two axes by 45 degrees, one may be chosen twice: its last use is replaced.
            if axis not in axes:
                twice = np.bincount(axes).argmax()
                axes[np.flatnonzero(axes == twice)[-1]] = axis
        flips = tuple(bool(affine[j, axes[j]] < 0) for j in range(3))
        return cls(tuple(int(axis) for axis in axes), flips)

    def apply(self, data: np.ndarray) -> np.ndarray:
        """Bring a volume to right, anterior, superior.

        Args:
            data: `(*others, x, y, z)`.

        Returns:
            A view.
        """
        return self._flip(data.transpose(self._order(data.ndim, self.axes)))

    def undo(self, data: np.ndarray) -> np.ndarray:
        """Bring a result back to the axes of the volume.

        Args:
            data: `(*others, x, y, z)`.

        Returns:
            A view.
        """
        return self._flip(data).transpose(self._order(data.ndim, np.argsort(self.axes)))

    def align(self, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Give the affine of a volume after it was brought to right, anterior, superior.

        Args:
            affine: `(4, 4)` of the volume.
            shape: its voxels per axis.
        """
        result = affine.copy()
        for axis, (old, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            result[:3, axis] = affine[:3, old] * (-1 if flip else 1)
            if flip:
                result[:3, 3] += affine[:3, old] * (shape[old] - 1)
        return result

    def _flip(self, data: np.ndarray) -> np.ndarray:
        return data[(..., *(slice(None, None, -1 if flip else 1) for flip in self.flips))]

    @staticmethod
    def _order(ndim: int, axes: tuple[int, ...]) -> tuple[int, ...]:
        return (*range(ndim - 3), *(ndim - 3 + int(axis) for axis in axes))
