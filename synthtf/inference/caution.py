"""What deserves a look in a segmentation: doubt of the network, and unusual volumes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from synthtf.inference.uncertainty import Spread

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_UNSURE = 0.5  # posterior of the likeliest class, below which a voxel is uncertain
_MOST_UNSURE = 0.15  # share of the brain
_DIFFERS = 0.05  # variance of two predictions; 1/2 where they are sure of different classes
_MOST_DIFFERS = 0.1  # share of the brain
_FACTOR = 2.0  # by which a volume may lie outside the range of the training maps
_NAMED = 3  # structures


class CautionWarning(UserWarning):
    """A segmentation deserves a look."""


def doubtful_parts(posteriors: np.ndarray, brain: np.ndarray, spread: Spread | None) -> list[str]:
    """Say in how much of the brain a network is unsure.

    The posteriors are those of the network, before intensities sharpen them.

    Args:
        posteriors: `(x, y, z, classes)`.
        brain: `(x, y, z)`, boolean: where they find it.
        spread: of the predictions on the scan and on its mirror image, and of several networks.
            None: there is one prediction.

    Returns:
        A few words for what is beyond the limits.
    """
    size = np.count_nonzero(brain)
    if not size:
        return []
    # Slice by slice: the largest of many classes needs a copy of what it is taken of.
    unsure = sum(
        np.count_nonzero(values[inside].max(axis=-1) < _UNSURE)
        for values, inside in zip(posteriors, brain, strict=True)
        if inside.any()
    )
    said = []
    if unsure / size > _MOST_UNSURE:
        said.append(f"uncertain in {100 * unsure / size:.0f} % of the brain")
    if spread is not None and spread.variance is not None:
        share = np.count_nonzero(spread.variance[brain] > _DIFFERS) / size
        if share > _MOST_DIFFERS:
            said.append(f"predictions differ in {100 * share:.0f} % of the brain")
    return said


def unlike_training(run: "Run", volumes: Mapping[int, float]) -> list[str]:
    """Name the structures whose share of the brain is unlike the label maps of the training.

    Args:
        run: of the network; it knows the shares, unless it is older than they are.
        volumes: output label to volume.

    Returns:
        A few words per structure, the most unusual first.
    """
    shares = {label: ends for label, ends in run.volume_shares.items() if label in volumes}
    total = sum(volumes[label] for label in shares)
    if not total:
        return []
    found: list[tuple[float, str]] = []
    for label, (low, high) in shares.items():
        share, name = volumes[label] / total, run.table.name(label)
        if share > _FACTOR * high > 0:
            factor = share / high
            words = f"{name} {factor:.1f} times as large as in the largest training map"
            found.append((factor, words))
        elif share * _FACTOR < low:
            factor = low / max(share, low / 1000)
            words = f"{name} {factor:.1f} times smaller than in the smallest training map"
            found.append((factor, words if share else f"{name} is missing"))
    said = [words for _, words in sorted(found, reverse=True)]
    more = len(said) - _NAMED
    return [*said[:_NAMED], f"{more} more unlike the training maps"] if more > 0 else said
