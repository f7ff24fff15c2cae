"""Label maps with the errors of a network."""

from collections.abc import Sequence
from typing import Any

from synthtf.layers import (
    OneHot,
    RandomErosion,
    RandomNoise,
    RandomPatchSwap,
    RandomResolution,
    RandomWarp,
    Resample,
)
from synthtf.networks import most_likely
from synthtf.ranges import Range

Tensor = Any


def corrupt(
    labels: Tensor,
    key: Tensor,
    values: Sequence[int],
    brain: Sequence[int],
    spacing: Range,
    size: float,
) -> Tensor:
    """Make errors as a network does on an image that shows too little.

    Everything is warped, the brain grows or shrinks, patches change places, and the resolution
    falls. Smooth noise then moves the borders between the channels, and makes islands where it is
    strong. The numbers are at the size 1, where the most spoilt maps are hard to recognise.

    Args:
        labels: symbolic label maps, `(batch, *shape, 1)`.
        key: symbolic keys, `(batch, 2)`.
        values: labels, ascending; a channel each.
        brain: labels of the brain, whose border moves.
        spacing: mm per voxel.
        size: size of the errors; 0 for none.

    Returns:
        One-hot maps, `(batch, *shape, len(values))`.
    """
    channels = OneHot(tuple(values), name="error_channels")
    if not size:
        return channels(labels)
    known = {"spacing": spacing}
    field = RandomWarp((0, 5 * size), (4, 12), name="error_warp", **known)(labels, key=key)
    labels = Resample(name="error_moved")(labels, field)
    labels = RandomErosion(
        tuple(brain),
        (-3 * size, 3 * size),
        (0, 1.5 * size),
        name="error_border",
        probability=0.5,
        **known,
    )(labels, key=key)
    swap = RandomPatchSwap(
        (0, 4), (4, 4 + 12 * size), probability=0.5, name="error_patches", **known
    )
    maps = swap(channels(labels), key=key)
    low = RandomResolution((1, 1 + 7 * size), name="error_resolution", **known)
    noise = RandomNoise((0, 0.6 * size), correlation=(1, 8), name="error_noise", **known)
    return most_likely(noise(low(maps, key=key), key=key))
