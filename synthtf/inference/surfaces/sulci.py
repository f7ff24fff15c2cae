"""Sulci that are too narrow to be seen."""

import numpy as np
from scipy import ndimage

_LEAST = 1.2  # mm of cortex on a bank that is left as it is
_MEETING = 0.65  # length of the gradient of the distance below which two fronts meet
_SMOOTHING = 0.6  # voxels, of the distance


def open_sulci(pial: np.ndarray, within: np.ndarray, spacing: float) -> np.ndarray:
    """Open a map of what lies within the pial surface where two banks of a sulcus touch.

    Fronts start at the white surface and go outwards at equal speed. Where those of two banks meet,
    there is a sulcus, whether any liquid is seen in it or not: each bank gets the cortex on its
    side. Between them, the map becomes negative.

    Args:
        pial: `(x, y, z)`, positive within the pial surface.
        within: Boolean, what lies within the white surface.
        spacing: Voxel size in mm.

    Returns:
        The map, not greater than before.

    Reference:
        Han et al., CRUISE: cortical reconstruction using implicit surface evolution, NeuroImage
        2004, for the sulci that are found from the white matter (anatomically consistent
        enhancement).
    """
    distance = spacing * ndimage.distance_transform_edt(~within)
    smooth = ndimage.gaussian_filter(distance, _SMOOTHING)
    slope = np.sqrt(sum(np.gradient(smooth, spacing, axis=axis) ** 2 for axis in range(3)))
    largest = max(float(abs(pial).max()), 1e-6)
    between = np.clip((slope - _MEETING) / _MEETING, -1, 1) * largest
    return np.where(distance > _LEAST, np.minimum(pial, between), pial).astype(np.float32)
