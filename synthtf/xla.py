"""What to compile with XLA, and what the backend computes on."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops, tree

Tensor = Any

# Numbers per sample from which on the passes that are saved are worth a compilation, and those
# by which the size of a look-up table is rounded up.
LARGE = 2**18
_BUCKET = 2**20


def pays() -> bool:
    """Return whether XLA makes these models faster.

    On TensorFlow without a GPU it makes convolutions and gathers ten times slower, and compiles
    again for every shape of a scan. Elsewhere it is the default or faster.
    """
    return keras.backend.backend() != "tensorflow" or has_accelerator()


def has_accelerator() -> bool:
    """Say whether the backend computes on a GPU or a TPU."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() != "cpu"
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def choose(model: keras.Model) -> keras.Model:
    """Set whether `predict` compiles a model with XLA; Keras does so by default.

    Args:
        model: a model that is not compiled, or compiled for inference only.

    Returns:
        The same model.
    """
    if not pays():
        model.jit_compile = False
    return model


def traced_once(model: keras.Model) -> Callable[[Any], Any]:
    """Make a function that predicts a batch, of images of all sizes with one trace.

    Keras' own traces a model for the first size and again for the second. Called directly, a
    functional model would hold every intermediate tensor to the end.

    Args:
        model: functional model of one tensor.

    Returns:
        Function from a batch to a NumPy array.
    """
    if pays():
        return model.predict_on_batch
    import tensorflow as tf

    given = tf.TensorSpec(model.inputs[0].shape, model.inputs[0].dtype)
    function = tf.function(
        lambda batch: model(batch, training=False), input_signature=[given], autograph=False
    )
    return lambda batch: function(tf.constant(batch)).numpy()


def call_once(model: keras.Model, inputs: Any) -> Any:
    """Apply a model to a batch, where only a few calls follow.

    Outside of `predict`, JAX compiles each operation by itself, which takes longer than compiling
    the whole. On other backends, compiling takes longer than a few calls.

    Args:
        model: the model.
        inputs: one batch.

    Returns:
        The outputs for the batch.
    """
    if keras.backend.backend() != "jax":
        return model(inputs)
    # A single sample has no shares for several devices.
    shared = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        return model.predict_on_batch(inputs)
    finally:
        keras.distribution.set_distribution(shared)


def fused(function: Callable[..., Any], *tensors: Any, passes: int = 1) -> Any:
    """Apply a function of elementwise steps and look-ups in one pass over large volumes.

    On TensorFlow without a GPU each operation is a pass over memory, and a look-up takes six
    times as long as one in a loop that XLA compiles. That is done within a graph only. All
    else, such as sums, products of matrices and random numbers, is slower there.

    Args:
        function: function of the tensors. What it rounds to whole numbers must not come from
            products that it adds up: their last bits may differ.
        *tensors: tensors or lists of tensors.
        passes: how many look-ups or the like are made per number; 0 not to fuse them.

    Returns:
        What the function returns.
    """
    if not _pays_to_fuse(tensors, passes):
        return function(*tensors)
    import tensorflow as tf

    return tf.function(function, jit_compile=True, autograph=False)(*tensors)


def _pays_to_fuse(tensors: Any, passes: int = 1) -> bool:
    if keras.backend.backend() != "tensorflow" or pays():
        return False
    import tensorflow as tf

    shapes = [tuple(x.shape)[1:] for x in tree.flatten(tensors)]
    large = any(None not in shape and passes * math.prod(shape) >= LARGE for shape in shapes)
    return large and not tf.executing_eagerly()


def in_buckets(values: Tensor, *tensors: Any) -> Tensor:
    """Pad a table that `fused` looks up, so that tables of many sizes share a compilation.

    Args:
        values: `(n, ...)`.
        *tensors: what else is handed to `fused`.

    Returns:
        Tensor `(m, ...)`, m at least n.
    """
    if values.shape[0] is not None or not _pays_to_fuse(tensors):
        return values
    pads = [(0, -ops.shape(values)[0] % _BUCKET), *((0, 0) for _ in values.shape[1:])]
    return ops.pad(values, pads)
