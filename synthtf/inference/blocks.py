"""Blocks of voxels."""

from collections.abc import Sequence

import numpy as np

AXES = (1, 3, 5)
"""Axes within the blocks, of what `blocks` returns."""


def blocks(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """View an image as blocks; what does not fill a block at the end of an axis is left out.

    Args:
        image: `(x, y, z)`.
        size: voxels of a block along each axis.

    Returns:
        `(i, size, j, size, k, size)`: for i, j and k blocks.

    Example:
        >>> blocks(np.arange(5.0).reshape(5, 1, 1), (2, 1, 1)).mean(AXES).ravel().tolist()
        [0.5, 2.5]
    """
    counts = [n // m for n, m in zip(image.shape, size, strict=True)]
    image = image[tuple(slice(0, n * m) for n, m in zip(counts, size, strict=True))]
    return image.reshape([part for pair in zip(counts, size, strict=True) for part in pair])
