"""Whether to compile with XLA, and what the backend computes on."""

from typing import Any

import keras


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
    if keras.backend.backend() == "jax":
        return model.predict_on_batch(inputs)
    return model(inputs)
