"""From a scan to a synthetic T1 of 1 mm as SynthSR computes it, every step and constant."""

import os
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.volumes import Volume
from synthtf.inference.conform import pad_to_multiple
from synthtf.inference.patches.memory import SCAN_BYTES, MemoryBudget, ScanBudget
from synthtf.inference.prediction import apply_network
from synthtf.published.alignment import Orientation, read_scan, resample_to_1mm

if TYPE_CHECKING:
    import keras

_MULTIPLE = 32
_HOUNSFIELD = (0, 80)
_SCALE, _BRIGHTEST = 255, 128  # what 1 of the network's output means, and where it is cut
_SHARPNESS = 1.5  # voxels, the standard deviation of what is sharpened
_T1_RANGE, _T2_RANGE = 3, 2  # largest value of the channels of the network for T1 and T2


def super_resolve(
    path: str | os.PathLike,
    network: "keras.Model",
    *,
    ct: bool = False,
    sharpen: bool = True,
    flip: bool = True,
    budget: MemoryBudget | None = None,
) -> Volume:
    """Synthesise a T1 scan of 1 mm from a scan of any contrast and resolution.

    Args:
        path: the scan, see `read_scan`. Of several channels, the first is used.
        network: from `synthtf.interop.load_synthsr`.
        ct: whether the scan is in Hounsfield units, which are clipped to [0, 80].
        sharpen: whether to add what a Gaussian blur takes away.
        flip: whether to average with the result of the left-right mirrored scan.
        budget: memory that the process may take. None: no limit.

    Returns:
        The synthetic scan, with white matter at about 110: float64, voxels of 1 mm along the axes
        of the scan, and the header of the scan.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged or has no contrast, or does not fit the budget.
    """
    scan = read_scan(path, average=False).volume
    limits = _limits(budget, scan)
    resampled, affine = resample_to_1mm(scan.data, scan.affine)
    orientation = Orientation.of(affine)
    padded, inner = pad_to_multiple(orientation.apply(resampled), _MULTIPLE)
    # The padding takes part in the normalisation.
    if ct:
        padded = padded.clip(*_HOUNSFIELD)
    padded = padded - padded.min()
    padded /= _positive(padded.max(), scan.name)
    result = _brightness(apply_network(network, padded, limits))
    if flip:
        mirrored = apply_network(network, padded[::-1], limits)[::-1]
        result = 0.5 * result + 0.5 * _brightness(mirrored)
    result = result[inner]
    if sharpen:
        result = sharpened(result)
    return Volume(orientation.undo(result), affine, scan.header, scan.path)


def super_resolve_pair(
    t1: str | os.PathLike,
    t2: str | os.PathLike,
    network: "keras.Model",
    *,
    budget: MemoryBudget | None = None,
) -> Volume:
    """Synthesise a T1 scan of 1 mm from T1 and T2 scans at low field.

    Args:
        t1: the T1, see `read_scan`.
        t2: the T2. Its header places it on the T1; it is not registered.
        network: from `synthtf.interop.load_synthsr`, for two channels.
        budget: memory that the process may take. None: no limit.

    Returns:
        The synthetic scan, in the intensities of the T1: float64, voxels of 1 mm along the axes of
        the T1, and its header.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a file is damaged or has no contrast, the scans lie apart, or they do not
            fit the budget.
    """
    from scipy.ndimage import affine_transform

    first, second = (read_scan(path, average=False).volume for path in (t1, t2))
    limits = _limits(budget, first)
    resampled, affine = resample_to_1mm(first.data, first.affine)
    other = affine_transform(
        second.data,
        np.linalg.inv(second.affine) @ affine,
        output_shape=resampled.shape,
        order=1,
        mode="constant",
    )
    orientation = Orientation.of(affine)
    lowest = resampled.min()
    scale = _positive((resampled - lowest).max(), first.name) / _T1_RANGE
    other = other - other.min()
    other *= _T2_RANGE / _positive(other.max(), f"{second.name}, where {first.name} is")
    # The minimum of the T1 is not subtracted.
    channels = [orientation.apply(image) for image in (resampled / scale, other)]
    padded, inners = zip(*(pad_to_multiple(image, _MULTIPLE) for image in channels), strict=True)
    output = apply_network(network, np.stack(padded, -1), limits)[..., 0].astype("float64")
    result = lowest + scale * (output[inners[0]] + channels[0])
    return Volume(orientation.undo(result.clip(0)), affine, first.header, first.path)


def sharpened(image: np.ndarray) -> np.ndarray:
    """Add to an image what a Gaussian blur takes away; the result is not clipped.

    Args:
        image: `(x, y, z)`.
    """
    from scipy.ndimage import gaussian_filter

    return image + (image - gaussian_filter(image, _SHARPNESS))


def _brightness(output: np.ndarray) -> np.ndarray:
    return (_SCALE * output[..., 0].astype("float64")).clip(0, _BRIGHTEST)


def _limits(budget: MemoryBudget | None, scan: Volume) -> ScanBudget:
    volume = abs(np.linalg.det(scan.affine[:3, :3])) * scan.data.size  # voxels of 1 mm
    return (budget or MemoryBudget()).for_scan(int(max(volume, scan.data.size) * SCAN_BYTES))


def _positive(value: float, name: str) -> float:
    if not value > 0:
        raise ValueError(f"{name} is constant; is this a scan of a head?")
    return float(value)
