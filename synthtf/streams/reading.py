"""Consumers: processes that take the samples of a buffer."""

import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from synthtf.ranges import as_whole
from synthtf.streams.buffer import Buffer

WAIT = 600.0
"""Seconds after which a consumer gives up if nobody writes samples."""

_LARGEST = 2**31 - 1
_PAUSE = 0.02


def read_batches(
    folder: str | os.PathLike, batch_size: int = 1, wait: float = WAIT
) -> Iterator[tuple[dict[str, np.ndarray]]]:
    """Take samples from a buffer, in batches for `fit` on any backend.

        model.on_samples().fit(read_batches("buffer"), steps_per_epoch=100, epochs=10)

    Each sample is handed out once: a shard is deleted as it is read. Trainings that share a buffer
    see different samples. Keras reads some batches ahead, which are lost as `fit` ends.

    Args:
        folder: folder of the buffer, which `synthtf stream produce` fills.
        batch_size: samples per batch.
        wait: seconds after which it gives up if nobody writes samples.

    Yields:
        `({"image": ..., "labels": ..., ...},)`, the outputs of the synthesis.

    Raises:
        FileNotFoundError: if the folder does not exist.
        TimeoutError: if no samples come.
    """
    samples, size = read_samples(folder, wait), as_whole(batch_size, "batch_size", 1, _LARGEST)
    while batch := list(islice(samples, size)):
        names = batch[0].keys() - {"number"}
        yield ({name: np.stack([sample[name] for sample in batch]) for name in sorted(names)},)


def read_samples(folder: str | os.PathLike, wait: float = WAIT) -> Iterator[dict[str, np.ndarray]]:
    """Take samples from a buffer, one by one.

    Args:
        folder: folder of the buffer.
        wait: seconds after which it gives up if nobody writes samples.

    Yields:
        The outputs of the synthesis for a sample, without the batch axis, and "number", the second
        integer of its key: with the seed in `stream.json`, it makes the sample again.

    Raises:
        FileNotFoundError: if the folder does not exist.
        TimeoutError: if no samples come.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(
            f"{folder}: not found; it is the folder that `synthtf stream produce` fills"
        )
    buffer, since = Buffer(folder), time.monotonic()
    while True:
        shard = buffer.take()
        if shard is not None:
            for index in range(len(shard["number"])):
                yield {name: values[index] for name, values in shard.items()}
            since = time.monotonic()
        elif time.monotonic() - since > wait:
            raise TimeoutError(
                f"{folder}: no samples for {wait:g} s; start a producer, `synthtf stream produce`"
            )
        else:
            time.sleep(_PAUSE)
