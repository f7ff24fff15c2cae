"""Posteriors of whole heads: whole or in patches, and averaged with those of the mirrored head."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from synthtf.inference.patches.memory import explain_exhaustion, release
from synthtf.inference.patches.predict import begin_patches

if TYPE_CHECKING:
    import keras

Deliver = Callable[[tuple[slice, ...], np.ndarray], None]
Patch = tuple[int, ...] | None
Change = Callable[[np.ndarray], np.ndarray]


def begin(network: "keras.Model", image: np.ndarray, patch: Patch) -> Callable[[Deliver], None]:
    """Apply a network but for what delivers the result.

    Args:
        network: the network.
        image: `(x, y, z)` or `(x, y, z, channels)`.
        patch: voxels per axis of the patches; None for the whole image.

    Returns:
        Function that does the rest. It calls what it is given with the place of each part of the
        result and the part, `(x, y, z, channels)`.

    Raises:
        MemoryError: if memory runs out; says what to do.
    """
    shape = image.shape[:3]
    if patch is not None:
        with explain_exhaustion(shape, patch):
            finish = begin_patches(network, image, patch)
        return functools.partial(_explained, finish, shape, patch)

    def whole(deliver: Deliver) -> None:
        batch = np.ascontiguousarray(image if image.ndim == 4 else image[..., None])[None]
        result = np.asarray(network.predict_on_batch(batch))[0]
        deliver(tuple(slice(0, n) for n in result.shape[:-1]), result)

    return functools.partial(_explained, whole, shape, None)


def averaged(
    network: "keras.Model",
    image: np.ndarray,
    patch: Patch,
    channels: int,
    mirrored: Sequence[int] | None = None,
    change: Change | None = None,
) -> np.ndarray:
    """Posteriors of an image, or their mean with those of the mirrored image.

    The second ones are added part by part, so that they never take memory as a whole.

    Args:
        network: the network.
        image: as for `begin`.
        patch: as for `begin`.
        channels: how many the posteriors have.
        mirrored: channel of the other side's structure, for each channel. None: the mirrored image
            is left out.
        change: makes posteriors of a part of the network's output.

    Returns:
        `(channels, x, y, z)`, float32.
    """
    images = [image] if mirrored is None else [image, image[::-1]]
    # Both are begun before the posteriors take memory.
    finish = [begin(network, each, patch) for each in images]
    release()
    shape = image.shape[:3]
    posteriors = np.empty((channels, *shape), np.float32)

    def put(place: tuple[slice, ...], part: np.ndarray) -> None:
        part = change(part) if change else part
        posteriors[(slice(None), *place)] = np.moveaxis(part, -1, 0)

    def add(place: tuple[slice, ...], part: np.ndarray) -> None:
        part = change(part) if change else part
        first, *others = place
        back = slice(shape[0] - first.stop, shape[0] - first.start)
        target = posteriors[(slice(None), back, *others)]
        for channel, shown in enumerate(mirrored):
            target[channel] += part[::-1, ..., shown]

    finish[0](put)
    if mirrored is not None:
        finish[1](add)
        posteriors *= 0.5
    finish.clear()
    release()
    return posteriors


def most_likely(channels: Iterable[np.ndarray]) -> np.ndarray:
    """Give the largest channel of each voxel, the first of equals.

    Args:
        channels: posteriors, one channel after the other.

    Returns:
        uint8, the shape of a channel.
    """
    best, found = None, None
    for number, channel in enumerate(channels):
        if best is None:
            best, found = channel.copy(), np.zeros(channel.shape, np.uint8)
            continue
        better = channel > best
        found[better] = number
        np.maximum(best, channel, out=best)
    return found


def _explained(
    finish: Callable[[Deliver], None], shape: tuple[int, ...], patch: Patch, deliver: Deliver
) -> None:
    with explain_exhaustion(shape, patch):
        finish(deliver)
