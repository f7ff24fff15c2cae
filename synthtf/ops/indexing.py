"""Gathering, in the one place where memory is read out of order."""

from typing import Any

import keras
from keras import ops

Tensor = Any


def gather(values: Tensor, index: Tensor) -> Tensor:
    """Pick rows of `values` along its first axis; indices must be in range.

    `keras.ops.take` on TensorFlow spends a third of its time on wrapping
    negative indices, which never occur here.

    Args:
        values: tensor of shape `(n, ...)`.
        index: int32 tensor of any shape, values in `[0, n - 1]`.

    Returns:
        Tensor of shape `(*index.shape, ...)`.

    Example:
        >>> from keras import ops
        >>> picked = gather(ops.array([5.0, 6.0, 7.0]), ops.array([[2, 0]]))
        >>> ops.convert_to_numpy(picked).tolist()
        [[7.0, 5.0]]
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(values, index)
    return ops.take(values, index, axis=0)


def batch_offset(batch: Tensor, stride: Tensor, ndim: int) -> Tensor:
    """Return where each sample starts in a flattened batch, to be added to indices.

    Args:
        batch: number of samples, an int or a scalar tensor.
        stride: number of rows per sample.
        ndim: number of axes after the batch axis of the indices.

    Returns:
        int32 tensor of shape `(batch, 1, ...)`.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(batch_offset(3, 10, 1)).tolist()
        [[0], [10], [20]]
    """
    return ops.reshape(ops.arange(batch, dtype="int32") * stride, (-1,) + (1,) * ndim)


def take_per_sample(table: Tensor, index: Tensor) -> Tensor:
    """Look up each sample's indices in its own table.

    Args:
        table: tensor of shape `(batch, n)` or `(batch, n, channels)`.
        index: int32 tensor of shape `(batch, ...)`, values in `[0, n - 1]`.

    Returns:
        Tensor of the dtype of `table` and the shape of `index`, followed by the channels if the
        table has any.

    Example:
        >>> from keras import ops
        >>> table = ops.array([[0.0, 1.0], [2.0, 3.0]])
        >>> ops.convert_to_numpy(take_per_sample(table, ops.array([[1], [0]]))).tolist()
        [[1.0], [2.0]]
    """
    offset = batch_offset(ops.shape(index)[0], table.shape[1], len(index.shape) - 1)
    return gather(ops.reshape(table, (-1, *table.shape[2:])), index + offset)
