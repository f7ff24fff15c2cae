"""The intensities of a scan, made fit for a network; what is odd about them is said."""

import warnings
from dataclasses import replace

import numpy as np

from synthtf.inference.intensity_range import IntensityRange
from synthtf.inference.normalize import HOUNSFIELD_WINDOW

_AIR = -1100, -900  # Hounsfield units
_WITHOUT_INTERCEPT = 1000, 1104  # water and brain, where 1024 was to be subtracted
_FEWEST = 0.05  # share of voxels that says something
_BETWEEN = 0.01  # share of fat, skin and partial volume, which padding lacks
_STRIPPED = 0.9  # share of tissue in the window of the brain, where all else was removed
_BONE = 200  # Hounsfield units; the brain is below
_DENSEST = 4095  # Hounsfield units of 12 bits; what is higher is not even metal
_CLIPPED = 0.6  # share of soft tissue, where all below water was removed and bone was not
_DARKEST = 5  # Hounsfield units; a brain is not below


def fit_intensities(data: np.ndarray, name: str, ct: bool) -> np.ndarray:
    """Make padding background and bring outliers near, see `IntensityRange`.

    Args:
        data: voxels of a scan.
        name: of the scan, for messages.
        ct: whether they are in Hounsfield units. They are not clipped here.

    Returns:
        The same shape.

    Raises:
        ValueError: if voxels are NaN or infinite, or are not in Hounsfield units but should be.

    Warns:
        UserWarning: of padding that is not 0, of Hounsfield units that nobody announced, and of
            announced ones that are doubtful.
    """
    if not np.isfinite(data.sum(dtype=np.float64)) and not np.all(np.isfinite(data)):
        wrong = np.count_nonzero(~np.isfinite(data))
        raise ValueError(f"{name}: {wrong:,} voxels are NaN or infinite; replace them first")
    found = IntensityRange.of(data)
    if ct:
        found = _hounsfield_range(found)
        _check_hounsfield(data[(data > _AIR[0]) & (data <= found.ceiling)], name)
    elif _looks_like_ct(data):
        _warn(
            f"{name}: this looks like CT in Hounsfield units, with air at -1000, but `ct` (--ct), "
            "which takes the window of the brain, was not given"
        )
    for lowest, highest, share in found.padding:
        if lowest == highest == 0:
            continue
        values = f"{lowest:g}" if lowest == highest else f"{lowest:g} to {highest:g}"
        _warn(f"{name}: {share:.1%} of its voxels, {values}, are padding and taken as background")
    return found.apply(data)


def _hounsfield_range(found: IntensityRange) -> IntensityRange:
    """Padding that the window of the brain does not make background."""
    padding = tuple(group for group in found.padding if group[0] > _DENSEST)
    ceiling = found.ceiling if padding else np.inf
    # What lies below air is air.
    return replace(
        found, low=-1024, floor=-np.inf, bottom=-1024, ceiling=ceiling, top=np.inf, padding=padding
    )


def _check_hounsfield(data: np.ndarray, name: str) -> None:
    data = data if data.size else np.zeros(1)
    total = data.size
    low, high = np.percentile(data, (0.5, 99.5))
    inside = np.count_nonzero((data > HOUNSFIELD_WINDOW[0]) & (data < HOUNSFIELD_WINDOW[1]))
    positive = np.count_nonzero(data > 0)
    way_out = "apply the rescale intercept, or leave out `ct` (--ct) if this is no CT"
    shifted = np.count_nonzero((data >= _WITHOUT_INTERCEPT[0]) & (data <= _WITHOUT_INTERCEPT[1]))
    if low >= 0 and shifted > _FEWEST * total:
        raise ValueError(
            f"{name}: expected Hounsfield units, with air at -1000 and water at 0. Received: no "
            f"voxel below 0, and {shifted / total:.0%} at 1000 to 1104, where brain is if 1024 was "
            f"not subtracted; {way_out}"
        )
    doubtful = low >= 0 and not _DARKEST < high < _BONE
    least = _CLIPPED if doubtful else _FEWEST
    if inside < least * positive or not high > _DARKEST or not inside:
        raise ValueError(
            f"{name}: expected Hounsfield units, with air at -1000 and brain at 0 to 80. Received: "
            f"{low:.3g} to {high:.3g}, {inside / total:.1%} of the voxels at 0 to 80; {way_out}"
        )
    if doubtful:
        _warn(
            f"{name}: are these Hounsfield units? No voxel is below 0, where air and fat are; if "
            f"not, {way_out}"
        )


def _looks_like_ct(data: np.ndarray) -> bool:
    if data.min() > _AIR[1]:
        return False
    total = data.size
    air = np.count_nonzero((data > _AIR[0]) & (data < _AIR[1]))
    rest = data[data >= _AIR[1]]
    if air < _FEWEST * total or rest.size < _FEWEST * total:
        return False
    between = np.count_nonzero(rest < -100)
    soft = np.count_nonzero((rest > -10) & (rest < 90))
    # Of a brain alone, or of a scan that a window was put on.
    positive = np.count_nonzero(rest > 0)
    inside = np.count_nonzero((rest > 0) & (rest < HOUNSFIELD_WINDOW[1]))
    stripped = inside > _STRIPPED * positive
    return soft > _FEWEST * rest.size and (between > _BETWEEN * total or stripped)


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=4)
