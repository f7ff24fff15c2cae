"""Several devices of one machine, which train one network together."""

import contextlib
from collections.abc import Iterator

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
        ValueError: if there are fewer, or Keras uses one device of the backend.
    """
    backend = keras.backend.backend()
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
