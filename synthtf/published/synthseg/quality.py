"""What SynthSeg's judge of segmentations is shown, and what it says."""

import numpy as np

from synthtf.published.synthseg.labels import Labels

SIZE = 224
"""Voxels per axis of what it is shown."""

_LEFT_OUT = (0, 24)
"""Channels outside the box. That 24 is no label of CSF but a channel is SynthSeg's own mistake."""


def quality_groups(channels: np.ndarray, labels: Labels, size: int = SIZE) -> np.ndarray:
    """Cut a box about the brain out of a segmentation, and bring its labels to groups.

    Args:
        channels: `(x, y, z)`, channel of each voxel.
        labels: labels of the channels.
        size: voxels per axis of the box.

    Returns:
        `(size, size, size, groups)`, float32, one-hot.
    """
    box = _box(channels, size)
    pairs = list(zip(box, channels.shape, strict=True))
    inside = channels[tuple(slice(max(low, 0), max(high, 0)) for low, high in box)]
    outside = [(max(-low, 0), max(high - n, 0)) for (low, high), n in pairs]
    groups = labels.quality_groups[np.pad(inside, outside)]
    return (groups[..., None] == np.arange(labels.quality_groups.max() + 1)).astype(np.float32)


def _box(channels: np.ndarray, size: int) -> list[tuple[int, int]]:
    brain = ~np.isin(channels, _LEFT_OUT)
    box = []
    for axis, n in enumerate(channels.shape):
        others = tuple(other for other in range(channels.ndim) if other != axis)
        found = np.flatnonzero(brain.any(axis=others))
        low, high = (int(found[0]), int(found[-1]) + 1) if len(found) else (0, min(n, size))
        grow = size - (high - low)
        box.append((low - -(-grow // 2), high + grow // 2))
    return box


def scores(prediction: np.ndarray) -> np.ndarray:
    """Turn the judge's prediction into scores: in [0, 1], without the background.

    Args:
        prediction: one number per group.
    """
    return np.clip(prediction[1:], 0, 1)
