"""From posteriors to labels, as SynthSeg does it.

Posteriors are `(channels, x, y, z)`, the background first, and are changed in place: for a whole
head they fill gigabytes.
"""

import numpy as np

from synthtf.published.components import largest_component
from synthtf.published.synthseg.labels import Labels

_CERTAIN = 0.25  # posterior above which a voxel belongs to a structure
_FAST = 0.2  # posterior up to which a structure is dropped, where topology is not looked at


def keep_largest(posteriors: np.ndarray) -> None:
    """Set all but the background to 0 outside the largest piece of the head's structures.

    Args:
        posteriors: changed in place.
    """
    total = np.zeros(posteriors.shape[1:], posteriors.dtype)
    for channel in posteriors[1:]:
        total += channel
    _restrict(posteriors[1:], largest_component(total > _CERTAIN))


def keep_topology(posteriors: np.ndarray, labels: Labels) -> None:
    """Set each class of structures to 0 outside its largest piece.

    Args:
        posteriors: changed in place.
        labels: labels of the channels.
    """
    for channels in labels.topology:
        certain = np.zeros(posteriors.shape[1:], bool)
        for channel in channels:
            certain |= posteriors[channel] > _CERTAIN
        piece = largest_component(certain)
        for channel in channels:
            posteriors[channel] *= piece


def drop_unlikely(posteriors: np.ndarray) -> None:
    """Set all but the background to 0 where it is unlikely.

    Args:
        posteriors: changed in place.
    """
    for channel in posteriors[1:]:
        channel[channel <= _FAST] = 0


def normalize(posteriors: np.ndarray) -> None:
    """Make posteriors sum to one; where nothing is left, there is background.

    Args:
        posteriors: changed in place.
    """
    total = np.zeros(posteriors.shape[1:], posteriors.dtype)
    for channel in posteriors:
        total += channel
    nothing = total == 0
    posteriors[0][nothing] = 1
    total[nothing] = 1
    for channel in posteriors:
        channel /= total


def _restrict(channels: np.ndarray, mask: np.ndarray) -> None:
    for channel in channels:
        channel *= mask


class Parcels:
    """Parcels of the cortex, from posteriors that come part by part.

    Within the cortex there is no background, and elsewhere it has a posterior of 1 before
    posteriors are made to sum to one.

    Args:
        cortex: `(x, y, z)` boolean, in the segmentation.
        start: place of its first voxel in the volume that the parts belong to.
        count: parcels.
    """

    def __init__(self, cortex: np.ndarray, start: tuple[int, ...], count: int) -> None:
        self._cortex, self._start = cortex, start
        self.found = np.zeros(cortex.shape, np.uint8)
        """Channel of the most likely parcel; 0 outside the cortex."""
        self.sums = np.zeros(count)
        """Sum of the posteriors of each parcel."""

    def add(self, place: tuple[slice, ...], part: np.ndarray) -> None:
        """Take a part.

        Args:
            place: where it lies in the volume.
            part: `(x, y, z, channels)`, posteriors of the background and of the parcels.
        """
        ours, theirs = [], []
        for box, start, size in zip(place, self._start, self._cortex.shape, strict=True):
            low, high = max(box.start, start), min(box.stop, start + size)
            if low >= high:
                return
            ours.append(slice(low - start, high - start))
            theirs.append(slice(low - box.start, high - box.start))
        cortex, parcels = self._cortex[tuple(ours)], part[tuple(theirs)][..., 1:]
        # A plane at a time, so that no second copy of the part is made.
        for x, plane in enumerate(parcels):
            total = plane.sum(-1) + ~cortex[x]
            self.sums += (plane / np.where(total > 0, total, 1)[..., None]).sum((0, 1), np.float64)
            best = np.where(plane.max(-1) > 0, plane.argmax(-1) + 1, 0)
            self.found[tuple(ours)][x] = np.where(cortex[x], best, 0)
