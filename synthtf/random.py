"""Random numbers as pure functions of a key.

A *key* is a row of two integers, `(run seed, sample number)`, one per sample.
Nothing here holds state: the same key gives the same numbers, in any batch and
at any place in it. This is the only module that touches a generator.
"""

import math
import zlib
from typing import Any

import keras
import numpy as np
from keras import ops

from synthtf import xla

Tensor = Any


def fold_in(key: Tensor, name: str) -> Tensor:
    """Derive the key of a named draw or layer from a parent key.

    Args:
        key: int32 tensor of shape `(batch, 2)`.
        name: any text. Its CRC-32, which is the same in every process, is folded in.

    Returns:
        int32 tensor of shape `(batch, 2)`.

    Example:
        >>> import numpy as np
        >>> key = np.array([[1, 7]], "int32")
        >>> fold_in(key, "blur").shape == (1, 2)
        True
    """
    data = zlib.crc32(name.encode()) & 0x7FFFFFFF
    return _per_sample(key, _BACKEND.fold_in, (2,), "int32", data)


def uniform(key: Tensor, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Tensor:
    """Draw uniformly from `[low, high)`.

    Args:
        key: int32 tensor of shape `(batch, 2)`.
        shape: static shape of one sample's draw; `()` for a scalar.
        low: lower bound. Default 0.
        high: upper bound. If it equals `low`, the draw is that constant. Default 1.

    Returns:
        float32 tensor of shape `(batch, *shape)`.

    Example:
        >>> import numpy as np
        >>> draw = uniform(np.array([[1, 7]], "int32"), (3,), 2.0, 4.0)
        >>> bool(ops.all(draw >= 2) and ops.all(draw < 4))
        True
    """
    draw = _per_sample(key, _BACKEND.uniform, tuple(shape), "float32")
    return low + (high - low) * draw


def normal(key: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Draw from the standard normal distribution.

    Args:
        key: int32 tensor of shape `(batch, 2)`.
        shape: static shape of one sample's draw; `()` for a scalar.

    Returns:
        float32 tensor of shape `(batch, *shape)`.

    Example:
        >>> import numpy as np
        >>> tuple(normal(np.array([[1, 7], [1, 8]], "int32"), (3,)).shape)
        (2, 3)
    """
    return _per_sample(key, _BACKEND.normal, tuple(shape), "float32")


def integers(key: Tensor, shape: tuple[int, ...], low: int, high: int) -> Tensor:
    """Draw integers uniformly from `low` to `high`, both included.

    Args:
        key: int32 tensor of shape `(batch, 2)`.
        shape: static shape of one sample's draw; `()` for a scalar.
        low: smallest value.
        high: largest value.

    Returns:
        int32 tensor of shape `(batch, *shape)`.

    Example:
        >>> import numpy as np
        >>> int(integers(np.array([[1, 7]], "int32"), (), 5, 5)[0])
        5
    """
    draw = ops.floor(uniform(key, shape, low, high + 1))
    return ops.cast(ops.minimum(draw, high), "int32")


def draw_keys(batch: int | Tensor, seed_generator: keras.random.SeedGenerator) -> Tensor:
    """Draw fresh keys for a layer that was called without one.

    Args:
        batch: number of samples.
        seed_generator: generator of Keras, which advances by one step.

    Returns:
        int32 tensor of shape `(batch, 2)`.
    """
    return keras.random.randint((batch, 2), 0, 2**31 - 1, dtype="int32", seed=seed_generator)


def _per_sample(key: Tensor, function: Any, shape: tuple, dtype: str, *args: Any) -> Tensor:
    key = ops.cast(ops.convert_to_tensor(key), "int32")
    return _BACKEND.map(lambda row: function(row, shape, *args), key, shape, dtype)


class _TensorFlow:
    """Philox, one stateless draw per sample."""

    @staticmethod
    def map(function: Any, key: Tensor, shape: tuple, dtype: str) -> Tensor:
        import tensorflow as tf

        if tf.executing_eagerly() and len(key):
            # The same draws; `map_fn` takes ten times as long outside a graph.
            return tf.stack([function(row) for row in tf.unstack(key)])
        return tf.map_fn(function, key, fn_output_signature=tf.TensorSpec(shape, dtype))

    @staticmethod
    def fold_in(row: Tensor, shape: tuple, data: int) -> Tensor:
        import tensorflow as tf

        return tf.random.experimental.stateless_fold_in(row, data)

    @staticmethod
    def uniform(row: Tensor, shape: tuple) -> Tensor:
        import tensorflow as tf

        return tf.random.stateless_uniform(shape, row)

    @staticmethod
    def normal(row: Tensor, shape: tuple) -> Tensor:
        import tensorflow as tf

        size = math.prod(shape)
        if size < xla.LARGE or xla.pays():
            return tf.random.stateless_normal(shape, row)
        # The same numbers to their last bits, in two thirds of the time: the vector unit does
        # what that function does one by one.
        chance = tf.random.stateless_uniform((-(-size // 2), 2), row)
        length = tf.sqrt(-2.0 * tf.math.log(tf.maximum(chance[None, :, 0], 1e-7)))
        angle = 2 * math.pi * chance[None, :, 1]
        flat = xla.fused(_interleaved, length * tf.sin(angle), length * tf.cos(angle))
        return tf.reshape(flat[:size], shape)


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    """Take numbers in turn from two float32 tensors of TensorFlow."""
    import tensorflow as tf

    low = tf.cast(tf.bitcast(even, tf.uint32), tf.int64)
    high = tf.cast(tf.bitcast(odd, tf.uint32), tf.int64)
    both = tf.bitwise.bitwise_or(low, tf.bitwise.left_shift(high, tf.constant(32, tf.int64)))
    return tf.reshape(tf.bitcast(both, tf.float32), (-1,))


class _Jax:
    """Threefry, mapped over the samples."""

    @staticmethod
    def map(function: Any, key: Tensor, shape: tuple, dtype: str) -> Tensor:
        import jax

        return jax.vmap(function)(key)

    @staticmethod
    def _key(row: Tensor) -> Tensor:
        import jax

        return jax.random.wrap_key_data(row.astype("uint32"), impl="threefry2x32")

    @staticmethod
    def fold_in(row: Tensor, shape: tuple, data: int) -> Tensor:
        import jax

        return jax.random.key_data(jax.random.fold_in(_Jax._key(row), data)).astype("int32")

    @staticmethod
    def uniform(row: Tensor, shape: tuple) -> Tensor:
        import jax

        return jax.random.uniform(_Jax._key(row), shape)

    @staticmethod
    def normal(row: Tensor, shape: tuple) -> Tensor:
        import jax

        return jax.random.normal(_Jax._key(row), shape)


class _Torch:
    """NumPy's Philox, one generator per draw: that of PyTorch forgets half of a key on the CPU."""

    @staticmethod
    def map(function: Any, key: Tensor, shape: tuple, dtype: str) -> Tensor:
        import torch

        return torch.stack([torch.as_tensor(function(row)) for row in key.tolist()]).to(key.device)

    @staticmethod
    def _generator(row: list[int], data: int = 2**32) -> np.random.Generator:
        high, low = (value & 0xFFFFFFFF for value in row)
        return np.random.Generator(np.random.Philox(key=[high << 32 | low, data]))

    @staticmethod
    def fold_in(row: list[int], shape: tuple, data: int) -> np.ndarray:
        return _Torch._generator(row, data).integers(-(2**31), 2**31, shape, "int32")

    @staticmethod
    def uniform(row: list[int], shape: tuple) -> np.ndarray:
        return np.asarray(_Torch._generator(row).random(shape, "float32"))

    @staticmethod
    def normal(row: list[int], shape: tuple) -> np.ndarray:
        return np.asarray(_Torch._generator(row).standard_normal(shape, "float32"))


_BACKEND = {"tensorflow": _TensorFlow, "jax": _Jax, "torch": _Torch}[keras.backend.backend()]
