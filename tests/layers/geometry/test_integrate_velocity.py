import keras
import numpy as np
import pytest

from synthtf.layers import IntegrateVelocity, Resample
from synthtf.testing import BATCH, SHAPES, LayerContract, close, run, to_arrays


class TestIntegrateVelocity(LayerContract):
    layer = IntegrateVelocity
    variants = [{"steps": 0}, {"steps": 2}]
    identity_arguments = {"steps": 0}
    invalid = [
        ({"steps": -1}, "`steps` must lie in"),
        ({"steps": 1.5}, "`steps` must be a whole number. Received: steps=1.5"),
        ({"steps": True}, "`steps` must be one number"),
        ({"steps": "5"}, "`steps` must be one number"),
    ]

    def make_inputs(self, ndim):
        shape = (BATCH, *SHAPES[ndim], ndim)
        return (np.random.default_rng(ndim).uniform(-2, 2, shape).astype("float32"),)


def smooth_velocity(shape, size=2.0):
    """A velocity field of one broad wave along each axis, zero at the border."""
    axes = np.meshgrid(*(np.linspace(0, np.pi, n) for n in shape), indexing="ij")
    bump = np.prod([np.sin(x) ** 2 for x in axes], axis=0)
    weights = np.arange(1, len(shape) + 1) / len(shape)
    return (size * bump[..., None] * weights)[None].astype("float32")


@pytest.mark.parametrize("ndim", [2, 3])
def test_constant_velocity_is_a_shift(ndim):
    velocity = np.full((1, *(6,) * ndim, ndim), -1.25, "float32")
    close(run(IntegrateVelocity(), (velocity,)), [velocity])


def test_linear_velocity_is_exponential():
    """v = a x moves x to exp(a) x; each squaring halves the error of the first Euler step."""
    x = np.arange(8, dtype="float32").reshape(1, 8, 1)
    errors = []
    for steps in (4, 8):
        out = to_arrays(IntegrateVelocity(steps)(-0.5 * x))[0]
        errors.append(np.abs(out - (np.exp(-0.5) - 1) * x).max())
    assert errors[1] < 0.1 * errors[0] < 0.01


@pytest.mark.parametrize("shape", [(24, 20), (16, 20, 18)])
def test_negated_velocity_gives_the_inverse(shape):
    velocity = smooth_velocity(shape)
    forward, backward = (to_arrays(IntegrateVelocity(7)(v))[0] for v in (velocity, -velocity))
    # Moving the backward field along the forward one takes every voxel back to where it was.
    back = to_arrays(Resample(fill=None)(backward, forward))[0]
    assert np.abs(forward).max() > 1
    np.testing.assert_allclose(forward + back, 0, atol=0.1)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a gradient of TensorFlow")
@pytest.mark.parametrize("steps", [0, 2])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradient(steps, jit_compile):
    """That of the end of the path with respect to the velocity, by finite differences."""
    import tensorflow as tf

    velocity = smooth_velocity((6, 8))
    direction = np.random.default_rng(0).normal(size=velocity.shape).astype("float32")

    def loss(velocity):
        return tf.reduce_sum(IntegrateVelocity(steps)(velocity) ** 2)

    @tf.function(jit_compile=jit_compile, autograph=False)
    def slope(velocity):
        with tf.GradientTape() as tape:
            tape.watch(velocity)
            value = loss(velocity)
        return tf.reduce_sum(tape.gradient(value, velocity) * direction)

    ahead, behind = (loss(velocity + sign * 1e-3 * direction) for sign in (1, -1))
    np.testing.assert_allclose(
        slope(tf.constant(velocity)), (ahead - behind) / 2e-3, rtol=0.02, atol=0.1
    )


def test_a_field_is_needed():
    with pytest.raises(ValueError, match=r"IntegrateVelocity takes a field .* \(1, 8, 8, 3\)"):
        IntegrateVelocity()(np.zeros((1, 8, 8, 3), "float32"))
