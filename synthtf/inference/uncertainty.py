"""How sure a network is of a segmentation: what its predictions and its posteriors show."""

import numpy as np

# Posteriors between which the middle 80 % lies, if all voxels of a structure vary together.
_LEVELS = 0.9, 0.1


class Spread:
    """How predictions of a scan differ: that on its mirror image, and those of several networks.

    They are those of the networks, before posteriors are sharpened and cleaned.

    Attributes:
        variance: `(x, y, z)`, float32: the variance of the predictions, summed over classes; 0
            where they agree, 1/2 where two are certain of different classes. None before any is
            seen.
        shifts: Channel to the largest volume of the class in voxels by which one differs from
            their mean.
    """

    def __init__(self) -> None:
        self.variance: np.ndarray | None = None
        self.shifts: dict[int, float] = {}
        self._squares: np.ndarray | None = None
        self._members: list[tuple[np.ndarray, Spread]] = []

    def see(self, channel: int, difference: np.ndarray) -> None:
        """Take in a class of two predictions.

        Args:
            channel: Of the class.
            difference: `(x, y, z)`, of its posteriors.
        """
        half = difference / 2
        self.shifts[channel] = abs(float(half.sum(dtype=np.float64)))
        half *= half
        self.variance = half if self.variance is None else self.variance + half

    def see_member(self, prediction: np.ndarray, spread: "Spread") -> None:
        """Take in the prediction of one of several networks.

        Args:
            prediction: `(x, y, z, classes)`, the mean of those on the scan and its mirror image.
            spread: Of these two; it has seen nothing if there is one.
        """
        squares = np.einsum("xyzc,xyzc->xyz", prediction, prediction)
        self._squares = squares if self._squares is None else self._squares + squares
        sums = prediction.sum(axis=(0, 1, 2), dtype=np.float64)
        self._members.append((sums, spread))

    def join(self, mean: np.ndarray) -> None:
        """Set variance and shifts once all networks have been seen.

        Args:
            mean: `(x, y, z, classes)`, that of their predictions.
        """
        count = len(self._members)
        between = self._squares / count - np.einsum("xyzc,xyzc->xyz", mean, mean)
        self.variance = np.maximum(between, 0)
        middle = sum(sums for sums, _ in self._members) / count
        for sums, spread in self._members:
            if spread.variance is not None:
                self.variance += spread.variance / count
            for channel, shift in enumerate(np.abs(sums - middle).tolist()):
                shift += spread.shifts.get(channel, 0.0)
                self.shifts[channel] = max(self.shifts.get(channel, 0.0), shift)


def volume_intervals(
    posteriors: np.ndarray, spread: Spread | None, voxel: float
) -> list[tuple[float, float]]:
    """Give an interval for the soft volume of each class.

    The interval holds the volumes of where the posterior of the class is above 0.9, and above 0.1;
    and those of all predictions, on the scan and on its mirror image, of one network or several.
    If all voxels of a structure were right or wrong together, its volume would lie between the
    first two in 80 % of cases, and the soft volume would be its mean: no dependence of voxels
    makes a volume vary more.

    It shows the doubt of the network and nothing else. It is no confidence interval: how often it
    holds the true volume is not known, and a network that is sure and wrong has a narrow one. Half
    of a voxel at the surface of a structure counts as doubt, so that coarse networks and thin
    structures have wide ones.

    Args:
        posteriors: `(x, y, z, classes)`, as the soft volumes are summed from.
        spread: Of the predictions. None: there is one.
        voxel: Volume of a voxel in mm³.

    Returns:
        `(low, high)` in mm³ for each class; the soft volume is in it.
    """
    found = []
    for channel in range(posteriors.shape[-1]):
        values = posteriors[..., channel]
        soft = float(values.sum(dtype=np.float64))
        shift = 0.0 if spread is None else spread.shifts.get(channel, 0.0)
        sure, possible = (float(np.count_nonzero(values > level)) for level in _LEVELS)
        low, high = min(soft - shift, sure), max(soft + shift, possible)
        found.append((max(low, 0.0) * voxel, high * voxel))
    return found
