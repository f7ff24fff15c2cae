"""Where a scan shows nothing: what a mask, a defacing tool or the field of view cut away."""

from collections.abc import Sequence

import numpy as np

from synthtf.inference.blocks import AXES, blocks

_BLOCK = 4.0  # mm: narrower gaps may be a fissure or a vessel without signal
_LEAST = 0.01  # share of the voxels that have one value


def absent(image: np.ndarray, spacing: Sequence[float]) -> np.ndarray | None:
    """Find the region of a scan in which nothing was measured.

    It is made of the voxels whose value is exactly 0, or the lowest of the scan, if there are many,
    as far as they form cubes of some mm that touch each other and the end of the field of view. A
    ventricle without signal is no such region, nor is a narrow gap.

    Args:
        image: `(x, y, z)`, finite.
        spacing: mm per voxel.

    Returns:
        The region, of the same shape; None if there is none.
    """
    from scipy import ndimage

    lowest = np.zeros(image.shape, bool)
    for value in {0.0, float(image.min())}:
        same = image == value
        if np.count_nonzero(same) >= _LEAST * same.size:
            lowest |= same
    if not lowest.any():
        return None
    size = [max(1, round(_BLOCK / mm)) for mm in spacing]
    # Beyond the field of view is nothing either.
    whole = np.pad(
        lowest, [(0, -n % m) for n, m in zip(lowest.shape, size, strict=True)], mode="edge"
    )
    cubes = blocks(whole, size).all(AXES)
    pieces, count = ndimage.label(np.pad(cubes, 1, constant_values=True))
    if count == 0:
        return None
    outer = pieces == pieces[0, 0, 0]
    near = ndimage.binary_dilation(outer, np.ones((3, 3, 3)))[1:-1, 1:-1, 1:-1]
    for axis, n in enumerate(size):
        near = np.repeat(near, n, axis)
    return lowest & near[tuple(slice(0, n) for n in lowest.shape)]
