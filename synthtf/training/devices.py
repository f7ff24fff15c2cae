"""Several devices, of one machine or of several, which train one network together."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    from synthtf.data.label_maps import LabelMaps

_PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"
"""Variable of the environment by which Keras knows them."""


@contextlib.contextmanager
def on_devices(count: int) -> Iterator[None]:
    """Make models that train on several devices at once.

    Each device gets an equal share of every batch, and all have the same weights. Together they
    see the samples that one would: a sample follows from its key alone, wherever it is made.
    TensorFlow uses its `MirroredStrategy`, JAX Keras' `DataParallel`. On JAX, the devices may be
    those of several processes that `keras.distribution.initialize` has joined; `fit` then makes
    the share of each batch that is its process's own.

    Args:
        count: how many devices, of all processes; GPUs if there are any, else processors. 1
            changes nothing.

    Raises:
        ValueError: if there are fewer, or the backend cannot do it.

    Example:
        >>> with on_devices(1):
        ...     keras.backend.backend() in ("tensorflow", "jax", "torch")
        True
    """
    names = chosen_devices(count)
    if not names:
        yield
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(names).scope():
            yield
    else:
        before = keras.distribution.distribution()
        parallel = keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
        keras.distribution.set_distribution(parallel)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)


def chosen_devices(count: int) -> list[str]:
    """Give the names of the first devices; none for a single one, which needs no choice.

    Raises:
        ValueError: if there are fewer, Keras uses one device of the backend, or several processes
            have joined and these are not all of their devices.
    """
    backend = keras.backend.backend()
    joined = processes()[1]
    if joined > 1 and count != len(keras.distribution.list_devices()):
        raise ValueError(
            f"`devices` must be all {len(keras.distribution.list_devices())} of the {joined} "
            f"processes that have joined. Received: devices={count}"
        )
    if count == 1:
        return []
    if backend == "torch":
        raise ValueError(
            "`devices` must be 1 on the backend torch, which Keras runs on one device; set "
            f"KERAS_BACKEND to tensorflow or jax. Received: devices={count}"
        )
    if backend == "tensorflow":
        import tensorflow as tf

        kinds = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
        names = [device.name for device in next(found for found in kinds if found)]
    else:
        names = keras.distribution.list_devices()
    if count > len(names):
        raise ValueError(
            f"`devices` must be at most the number that {backend} finds, {len(names)}: "
            f"{', '.join(names)}. Received: devices={count}"
        )
    return names[:count]


def num_replicas() -> int:
    """Give the number of copies of a model whose gradients are added up.

    More than one within a strategy of TensorFlow alone: JAX computes on the whole batch, wherever
    its parts are.
    """
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def share_statistics(model: keras.Model) -> None:
    """Let batch normalisation see the whole batch, not the share of each replica."""
    for layer in model.layers if num_replicas() > 1 else ():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
        elif isinstance(layer, keras.Model):
            share_statistics(layer)


def processes() -> tuple[int, int]:
    """Give the number of this process, and how many have joined to train one network."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


@contextlib.contextmanager
def share_among_processes(maps: "LabelMaps") -> Iterator[None]:
    """Let label maps hand out the part of each batch that this process is to make.

    Args:
        maps: the same in all processes.

    Raises:
        ValueError: if a batch cannot be shared equally.
    """
    index, count = processes() if keras.distribution.distribution() else (0, 1)
    if maps.batch_size % count:
        raise ValueError(
            f"`batch_size` must be a multiple of the number of processes, {count}, which share "
            f"the samples of a step. Received: batch_size={maps.batch_size}"
        )
    before, maps.share = maps.share, (index, count)
    try:
        yield
    finally:
        maps.share = before


def refuse_processes() -> None:
    """Refuse that several processes write one run folder.

    Raises:
        ValueError: if this process is one of several that train together.
    """
    named = os.environ.get(_PROCESSES, "1")
    count = max(int(named) if named.isdecimal() else 1, processes()[1])
    if count > 1:
        raise ValueError(
            "a run folder is written by one process: several train one network by `model.fit` on "
            f"JAX, as docs/loops.md shows; unset {_PROCESSES} for one. Received: {count} processes"
        )
