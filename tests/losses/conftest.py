"""Fixtures of the tests of losses."""

import keras
import numpy as np
import pytest
from keras import ops


@pytest.fixture
def gradient():
    """Function that gives the gradient of a scalar function at a point, on any backend."""
    return _gradient


def _gradient(function, x):
    """Gradient of a scalar function, on any backend."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x).numpy()
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(function)(jax.numpy.asarray(x)))
    x = ops.convert_to_tensor(x).requires_grad_()
    function(x).backward()
    return ops.convert_to_numpy(x.grad)
