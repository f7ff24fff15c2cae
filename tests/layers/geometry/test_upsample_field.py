import keras
import numpy as np
import pytest

from synthtf.layers import UpsampleField
from synthtf.testing import BATCH, SHAPES, LayerContract, compiled, run, to_arrays


class TestUpsampleField(LayerContract):
    layer = UpsampleField
    variants = [{"factor": 3}, {"factor": 1.5}, {"factor": 0.5}]
    identity_arguments = {"factor": 1}
    invalid = [
        ({"factor": 0}, "`factor` must lie in"),
        ({"factor": -2}, "`factor` must lie in"),
        ({"factor": float("inf")}, "`factor` must be finite"),
        ({"factor": float("nan")}, "`factor` must be finite"),
        ({"factor": True}, "`factor` must be one number"),
        ({"factor": "2"}, "`factor` must be one number. Received: factor="),
    ]

    def make_inputs(self, ndim):
        shape = (BATCH, *SHAPES[ndim], ndim)
        return (np.random.default_rng(ndim).uniform(-2, 2, shape).astype("float32"),)


def by_numpy(field, factor):
    """The same, axis by axis, with NumPy's interpolation."""
    out = factor * field
    for axis in range(1, field.ndim - 1):
        size = field.shape[axis]
        at = np.linspace(0, size - 1, int(size * factor))
        out = np.apply_along_axis(
            lambda line, at=at: np.interp(at, range(len(line)), line), axis, out
        )
    return out


@pytest.mark.parametrize("factor", [2, 3, 1.5, 0.5])
@pytest.mark.parametrize("shape", [(6, 10), (4, 6, 8)])
def test_interpolation_is_numpys(shape, factor):
    field = np.random.default_rng(0).normal(size=(2, *shape, len(shape))).astype("float32")
    out = run(UpsampleField(factor), (field,))[0]
    np.testing.assert_allclose(out, by_numpy(field, factor), atol=1e-5)


def test_a_shift_counts_more_voxels_on_a_finer_grid():
    field = np.full((1, 5, 7, 2), 1.5, "float32")
    out = to_arrays(UpsampleField(2)(field))[0]
    assert out.shape == (1, 10, 14, 2)
    np.testing.assert_allclose(out, 3, atol=1e-6)


@pytest.mark.parametrize("factor", [2, 1.5, 0.5])
def test_unknown_shape(factor):
    field = np.random.default_rng(0).normal(size=(2, 6, 4, 8, 3)).astype("float32")
    inputs = keras.Input((None, 4, None, 3))
    model = keras.Model(inputs, UpsampleField(factor)(inputs))
    assert model.output.shape == (None, None, int(4 * factor), None, 3)
    np.testing.assert_allclose(to_arrays(model(field))[0], by_numpy(field, factor), atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a graph of TensorFlow")
@pytest.mark.parametrize("factor", [2, 0.5])
def test_graph_for_any_shape(factor):
    import tensorflow as tf

    function, traces = compiled(UpsampleField(factor))
    function = tf.function(function, input_signature=[tf.TensorSpec((None, None, None, 2))])
    for shape in ((1, 2, 6, 2), (2, 8, 4, 2)):
        field = np.random.default_rng(0).normal(size=shape).astype("float32")
        np.testing.assert_allclose(function(field), by_numpy(field, factor), atol=1e-5)
    assert len(traces) == 1


def test_a_field_is_needed():
    with pytest.raises(ValueError, match=r"UpsampleField takes a field .* \(1, 8, 8, 3\)"):
        UpsampleField()(np.zeros((1, 8, 8, 3), "float32"))
