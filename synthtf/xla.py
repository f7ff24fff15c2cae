"""Whether to compile with XLA."""

import keras


def pays() -> bool:
    """Say whether XLA makes these models faster.

    On TensorFlow without a GPU it makes convolutions and gathers ten times slower, and
    compiles anew for every shape of a scan; elsewhere it is the default or faster.
    """
    if keras.backend.backend() != "tensorflow":
        return True
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def choose(model: keras.Model) -> keras.Model:
    """Set whether `predict` compiles a model with XLA, which Keras does by default.

    Args:
        model: not compiled, or compiled for inference only.

    Returns:
        The same model.
    """
    if not pays():
        model.jit_compile = False
    return model
