"""From a scan to its brain as SynthStrip finds it, every step and constant."""

import dataclasses
import os
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.components import largest_filled
from synthtf.inference.patches.memory import SCAN_BYTES, MemoryBudget
from synthtf.inference.prediction import apply_network
from synthtf.inference.stripping import Stripping
from synthtf.published.surfa_space import Image

if TYPE_CHECKING:
    import keras

BORDER = 1.0
"""Distance of the edge of the mask from the brain, in mm."""

_MULTIPLE, _LEAST, _MOST = 64, 192, 320  # voxels per axis of what the network is given
_PERCENTILE = 99
_FAR = 100.0  # mm; distance outside of what the network saw
_CERTAIN = 1  # mm; up to here the network's distances are kept for a wide border


def strip_brain(
    scan: Volume | str | os.PathLike,
    network: "keras.Model",
    border: float = BORDER,
    fill: float | None = None,
    budget: MemoryBudget | None = None,
) -> Stripping:
    """Remove from a scan what is not brain, as SynthStrip does.

    Args:
        scan: a volume or its file, of one frame or several; each is stripped by itself.
        network: from `synthtf.interop.load_synthstrip`.
        border: distance of the edge of the mask from the brain, in mm.
        fill: value outside of the mask. None: 0, or the lowest value of the scan below it.
        budget: memory that the process may take. None: no limit.

    Returns:
        The stripped scan, mask and distances, on the grid and with the frames of the scan.

    Raises:
        ValueError: if the scan is not 3D or has no contrast, or does not fit the budget.
        FileNotFoundError: if there is no such file.
    """
    volume = scan if isinstance(scan, Volume) else read_volume(scan, frames=True, dtype="float64")
    if volume.ndim != 3:
        raise ValueError(f"{volume.name} must be a volume of three axes. Received: {volume.shape}")
    limits = (budget or MemoryBudget()).for_scan(volume.data.size * SCAN_BYTES)
    frames = volume.data.reshape(*volume.shape, -1)
    masks, distances = np.empty(frames.shape, np.uint8), np.empty(frames.shape, np.float32)
    for index in range(frames.shape[-1]):
        frame = Image(frames[..., index], volume.affine, _header_size(volume))
        seen = normalize(conform(frame), volume.name)
        predicted = apply_network(network, seen.data, limits)[..., 0]
        predicted = extend(predicted, border)
        distances[..., index] = seen.with_data(predicted).resampled_like(frame, fill=_FAR).data
        masks[..., index] = largest_filled(distances[..., index] < border)
    outside = min(0, frames.min()) if fill is None else fill
    stripped = np.where(masks, frames, np.array(outside, frames.dtype))
    image, mask, distance = (
        dataclasses.replace(volume, data=data.reshape(volume.data.shape))
        for data in (stripped, masks, distances)
    )
    return Stripping(image, mask, distance)


def conform(frame: Image) -> Image:
    """Bring a frame to voxels of 1 mm along left, inferior, anterior, and crop or pad it.

    Args:
        frame: the frame, with any voxels and axes; an oblique one stays oblique.

    Returns:
        float32, with 192, 256 or 320 voxels per axis.
    """
    image = frame.reoriented("LIA").resized(1.0)
    image = image.with_data(image.data.astype("float32")).cropped()
    sizes = [-(-size // _MULTIPLE) * _MULTIPLE for size in image.shape]
    return image.fitted([min(max(size, _LEAST), _MOST) for size in sizes])


def normalize(image: Image, name: str) -> Image:
    """Bring intensities to [0, 1]: the minimum, padding included, to 0, percentile 99 to 1.

    Args:
        image: conformed.
        name: what the scan is called in messages.

    Raises:
        ValueError: if 99 % of the voxels are equal.
    """
    data = image.data - image.data.min()
    top = np.percentile(data, _PERCENTILE)
    if not top > 0:
        raise ValueError(
            f"{name}: 99 % of the voxels around its content are equal; is this a scan of a head?"
        )
    return image.with_data((data / top).clip(0, 1).astype("float32"))


def extend(distance: np.ndarray, border: float) -> np.ndarray:
    """Replace distances outside of the brain if a border goes beyond what the network knows.

    Args:
        distance: `(x, y, z)`, from the network, mm.
        border: distance of the edge of the mask, mm.

    Returns:
        The distances; for a wide border those from 1 mm on are Euclidean, and far away 100 mm.
    """
    from scipy.ndimage import distance_transform_edt

    if border < int(distance.max()):
        return distance
    brain = distance < _CERTAIN
    if not brain.any():
        return np.full_like(distance, _FAR)
    gap = int(border + 0.5)
    box = []
    for axis, size in enumerate(brain.shape):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(brain.any(axis=others))
        box.append(slice(max(found[0] - gap, 0), min(found[-1] + gap, size - 1) + 1))
    result = np.full_like(distance, _FAR)
    result[tuple(box)] = distance_transform_edt(~brain[tuple(box)])
    result[brain] = distance[brain]
    return result


def _header_size(volume: Volume) -> tuple[float, ...] | None:
    zooms = () if volume.header is None else volume.header.get_zooms()[:3]
    usable = len(zooms) == 3 and np.isfinite(zooms).all() and min(zooms) > 0
    return tuple(float(size) for size in zooms) if usable else None
