"""Parts of label maps around given labels, for volumes or batches that do not fit otherwise."""

from collections.abc import Sequence

import numpy as np

from synthtf.ranges import as_whole

_MOST = 4096  # voxels of a map that a patch may be centred on


class Patches:
    """Cut from each sample's map a part around a voxel of certain labels.

    The voxel follows from the seed and the number of the sample. A map that holds none of the
    labels is cut around its middle.

    Args:
        shape: voxels per axis of a part; what lies outside of the map is background.
        around: labels.

    Raises:
        ValueError: if a size is not a positive whole number, or there are no labels.

    Example:
        >>> labels = np.zeros((8, 8), "int32")
        >>> labels[6, 1] = 17
        >>> patches = Patches((3, 3), [17])
        >>> centre = patches.centre(patches.voxels(labels), labels.shape, 0, 5)
        >>> patches.cut(labels, centre).tolist()
        [[0, 0, 0], [0, 17, 0], [0, 0, 0]]
    """

    def __init__(self, shape: Sequence[int], around: Sequence[int]) -> None:
        self.shape = tuple(as_whole(n, "patch", 1) for n in shape)
        self.around = tuple(as_whole(label, "around", 0) for label in around)
        if not self.around:
            raise ValueError("`around` must be at least one label. Received: around=()")

    def voxels(self, labels: np.ndarray) -> np.ndarray:
        """Give voxels of a map that parts may be centred on, `(num, ndim)`, evenly chosen."""
        found = np.argwhere(np.isin(labels, self.around))
        return found[:: -(-len(found) // _MOST) or 1]

    def centre(
        self, voxels: np.ndarray, shape: Sequence[int], seed: int, number: int
    ) -> np.ndarray:
        """Choose the middle voxel of a sample."""
        if not len(voxels):
            return np.array(shape) // 2
        return voxels[np.random.default_rng([seed, number, 1]).integers(len(voxels))]

    def cut(self, volume: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Cut a part of a label map or a scan."""
        starts = [int(c) - n // 2 for c, n in zip(centre, self.shape, strict=True)]
        limits = list(zip(starts, self.shape, volume.shape, strict=True))
        inside = tuple(slice(max(0, a), max(0, a + n)) for a, n, _ in limits)
        pads = [(max(0, -a), max(0, a + n - size)) for a, n, size in limits]
        return np.pad(volume[inside], pads)
