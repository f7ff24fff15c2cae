"""Comparing tubes, such as vessels, by their centre lines."""

import numpy as np
from scipy import ndimage


def centre_line(mask: np.ndarray) -> np.ndarray:
    """Give Lantuéjoul's skeleton of a mask: the centres of the largest balls that fit into it.

    Args:
        mask: boolean array.

    Returns:
        Boolean array of the same shape; it need not be in one piece.
    """
    block = ndimage.generate_binary_structure(mask.ndim, mask.ndim)
    left, found = np.asarray(mask, bool), np.zeros(mask.shape, bool)
    while left.any():
        eroded = ndimage.binary_erosion(left, border_value=1)
        if eroded.all():
            break
        found |= left & ~ndimage.binary_dilation(eroded, block)
        left = eroded
    return found


def centre_line_dice(a: np.ndarray, b: np.ndarray) -> float:
    """Measure how well two masks of tubes contain the centre lines of each other.

    Args:
        a: Boolean array.
        b: Boolean array of the same shape.

    Returns:
        Harmonic mean of the share of each one's centre line that lies in the other; NaN if both
        are empty.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> tube = np.zeros((9, 20), bool)
        >>> tube[3:6] = True
        >>> cut = tube & (np.arange(20) < 10)
        >>> round(centre_line_dice(cut, tube), 2)
        0.67

    Reference:
        Shit et al., clDice - a novel topology-preserving loss function for tubular structure
        segmentation, CVPR 2021.
    """
    if a.shape != b.shape:
        raise ValueError(f"expected masks of one shape, received {a.shape} and {b.shape}")
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    if not (a.any() and b.any()):
        return 0.0 if a.any() or b.any() else float("nan")
    within = [one[centre_line(other)].mean() for one, other in ((b, a), (a, b))]
    return float(2 * np.prod(within) / sum(within)) if any(within) else 0.0
