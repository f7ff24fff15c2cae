"""Finding the part of a scan that holds something."""

from collections.abc import Sequence

import numpy as np

from synthtf.inference.intensity_range import IntensityRange

_THRESHOLD = 0.1  # of the robust range: above noise in air, below tissue in a bias field
_MIN_SHARE = 1e-3  # of the voxels of a slice: ignores isolated bright voxels
_MIN_EXTENT = 50.0  # mm: a smaller box is more likely a wrong threshold than a head


def foreground_box(
    image: np.ndarray, spacing: Sequence[float], margin: float = 10.0
) -> tuple[slice, slice, slice]:
    """Bounding box of the foreground of a volume, with a margin.

    A slice counts as foreground if more than one voxel in a thousand lies above a
    tenth of the range between the first and the 99th percentile, padding being background (see
    `IntensityRange`). In doubt - no
    contrast, or a box below 50 mm along some axis - nothing is cut off.

    Args:
        image: `(x, y, z)`, intensities of any range, on a dark background.
        spacing: Voxel size in mm.
        margin: Added on each side, in mm.

    Returns:
        One slice per axis.

    Example:
        >>> image = np.zeros((100, 100, 100))
        >>> image[20:80, 20:80, 20:80] = 1
        >>> foreground_box(image, (1, 1, 1))
        (slice(10, 90, None), slice(10, 90, None), slice(10, 90, None))
    """
    everything = tuple(slice(0, n) for n in image.shape)
    image = IntensityRange.of(image).apply(image)
    low, high = np.percentile(image, (1, 99))
    if not high > low:
        return everything
    foreground = image > low + _THRESHOLD * (high - low)
    box = []
    for axis, (num, size) in enumerate(zip(image.shape, spacing, strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        slices = np.flatnonzero(foreground.mean(axis=others) > _MIN_SHARE)
        if not slices.size or (slices[-1] + 1 - slices[0]) * size < _MIN_EXTENT:
            return everything
        extra = int(np.ceil(margin / size))
        box.append(slice(max(0, int(slices[0]) - extra), min(num, int(slices[-1]) + 1 + extra)))
    return tuple(box)
