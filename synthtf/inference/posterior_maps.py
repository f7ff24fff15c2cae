"""Maps that are made of posteriors, on the grid of the scan."""

import math
import mmap
from collections.abc import Iterator, Sequence

import numpy as np

from synthtf.inference.conform import Box, ConformedGrid, Gain

_LEAST = 1e-6  # posteriors up to this are returned as 0


def restore_all(
    grid: ConformedGrid, posteriors: np.ndarray, box: Box, gain: Gain | None
) -> np.ndarray:
    """Bring the posteriors of all classes to the grid of a scan.

    Args:
        grid: of the network.
        posteriors: `(x, y, z, classes)`, values in `box`, summing to one; the first class is the
            background, which also fills the grid outside.
        box: the part of the grid that they cover.
        gain: as for `ConformedGrid.restore_labels`.

    Returns:
        `(*scan_shape, classes)`, float32. Values up to 1e-6 are 0.
    """
    # Most structures are small, and pages that nothing is written to take no memory; NumPy's own
    # zeros come in pages of 2 MB.
    shape = (posteriors.shape[-1], *grid.scan_shape)
    pages = mmap.mmap(-1, 4 * math.prod(shape), access=mmap.ACCESS_COPY)
    result = np.frombuffer(pages, np.float32).reshape(shape)
    total = np.zeros(grid.scan_shape, np.float32) if gain is not None else None
    for frame, channel in zip(result, _channels(grid, posteriors, box, gain), strict=True):
        np.copyto(frame, channel, where=channel > _LEAST)
        if total is not None:
            total += channel
    for frame in result if total is not None else ():
        np.divide(frame, total, out=frame, where=frame > 0)
    return np.moveaxis(result, 0, -1)


def restore_sum(
    grid: ConformedGrid,
    posteriors: np.ndarray,
    box: Box,
    gain: Gain | None,
    classes: Sequence[int],
) -> np.ndarray:
    """Bring the posterior of the union of some classes to the grid of a scan.

    Args:
        grid: as for `restore_all`.
        posteriors: as for `restore_all`.
        box: as for `restore_all`.
        gain: as for `restore_all`.
        classes: channels.

    Returns:
        `scan_shape`, float32, in [0, 1].
    """
    total, chosen = (np.zeros(grid.scan_shape, np.float32) for _ in range(2))
    for index, channel in enumerate(_channels(grid, posteriors, box, gain)):
        total += channel
        if index in classes:
            chosen += channel
    np.divide(chosen, total, out=chosen, where=total > 0)
    return np.clip(chosen, 0, 1, out=chosen)


def entropy(grid: ConformedGrid, posteriors: np.ndarray, box: Box, gain: Gain | None) -> np.ndarray:
    """Compute the entropy of the posteriors on the grid of a scan.

    It is `-Σ p log p / log(classes)`: 0 where one class is certain, 1 where all are as likely.

    Args:
        grid: as for `restore_all`.
        posteriors: as for `restore_all`.
        box: as for `restore_all`.
        gain: as for `restore_all`.

    Returns:
        `scan_shape`, float32, in [0, 1].
    """
    # With q = p · total, -Σ p log p = log(total) - Σ q log(q) / total: one class at a time.
    total, sums = (np.zeros(grid.scan_shape, np.float32) for _ in range(2))
    for channel in _channels(grid, posteriors, box, gain):
        total += channel
        positive = channel > 0
        sums[positive] += channel[positive] * np.log(channel[positive])
    known = total > 0
    result = np.zeros(grid.scan_shape, np.float32)
    result[known] = np.log(total[known]) - sums[known] / total[known]
    result /= max(math.log(posteriors.shape[-1]), 1e-6)
    return np.clip(result, 0, 1, out=result)


def _channels(
    grid: ConformedGrid, posteriors: np.ndarray, box: Box, gain: Gain | None
) -> Iterator[np.ndarray]:
    """Bring class by class to the grid of a scan; with a gain, they do not sum to one."""
    for index in range(posteriors.shape[-1]):
        factors = None if gain is None else gain(index, (slice(None),) * 3)
        yield grid.restore(posteriors[..., index], box, float(index == 0), factors)
