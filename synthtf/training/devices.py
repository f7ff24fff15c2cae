"""Several devices of one machine, which train one network together."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras


@contextlib.contextmanager
def on_devices(count: int) -> Iterator[None]:
    """Make models that train on several devices at once.

    Each device gets an equal share of every batch, and all have the same weights. Together they
    see the samples that one would: a sample follows from its key alone, wherever it is made.
    TensorFlow uses its `MirroredStrategy`, JAX Keras' `DataParallel`.

    Args:
        count: how many devices; GPUs if there are any, else processors. 1 changes nothing.

    Raises:
        ValueError: if there are fewer, or the backend cannot do it.

    Example:
        >>> with on_devices(1):
        ...     keras.backend.backend() in ("tensorflow", "jax", "torch")
        True
    """
    if count == 1:
        yield
        return
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        names = _first(count, _names_in_tensorflow())
        with tf.distribute.MirroredStrategy(names).scope():
            yield
    elif keras.backend.backend() == "jax":
        names = _first(count, keras.distribution.list_devices())
        before = keras.distribution.distribution()
        parallel = keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
        keras.distribution.set_distribution(parallel)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)
    else:
        raise ValueError(
            f"`devices` must be 1 on the backend {keras.backend.backend()}, which Keras runs on "
            f"one device; set KERAS_BACKEND to tensorflow or jax. Received: devices={count}"
        )


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


def _names_in_tensorflow() -> list[str]:
    import tensorflow as tf

    kinds = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
    return [device.name for device in next(found for found in kinds if found)]


def _first(count: int, names: list[Any]) -> list[Any]:
    if count > len(names):
        raise ValueError(
            f"`devices` must be at most the number that {keras.backend.backend()} finds, "
            f"{len(names)}: {', '.join(map(str, names))}. Received: devices={count}"
        )
    return names[:count]
