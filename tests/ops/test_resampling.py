"""One interpolation at the positions that a transform gives."""

import keras
import numpy as np
import pytest
from keras import ops as kops
from scipy import ndimage

from synthtf import ops
from synthtf.testing import to_arrays


def array(tensor):
    return to_arrays(tensor)[0]


def volume_and_field(shape, channels=1, amplitude=2.0, seed=0):
    generator = np.random.default_rng(seed)
    volume = generator.uniform(size=(2, *shape, channels)).astype("float32")
    field = generator.uniform(-amplitude, amplitude, (2, *shape, len(shape))).astype("float32")
    return volume, field


def oracle(volume, field, order, mode):
    grid = np.stack(np.meshgrid(*map(np.arange, volume.shape[1:-1]), indexing="ij"))
    out = np.empty_like(volume)
    for b, c in np.ndindex(len(volume), volume.shape[-1]):
        at = grid + np.moveaxis(field[b], -1, 0)
        out[b, ..., c] = ndimage.map_coordinates(volume[b, ..., c], at, order=order, mode=mode)
    return out


@pytest.mark.parametrize("shape", [(12, 10), (7, 9, 8)])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_linear_is_scipy_at_clamped_positions(shape, channels):
    volume, field = volume_and_field(shape, channels)
    out = array(ops.resample(volume, field))
    np.testing.assert_allclose(out, oracle(volume, field, 1, "nearest"), atol=1e-5)


@pytest.mark.parametrize("shape", [(12, 10), (7, 9, 8)])
def test_fill_is_what_lies_outside(shape):
    volume, field = volume_and_field(shape)
    out = array(ops.resample(volume, field, fill=-7.0))
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    at = grid + field
    inside = ((at >= 0) & (at <= np.array(shape) - 1)).all(-1)
    expected = np.where(inside[..., None], oracle(volume, field, 1, "nearest"), -7)
    np.testing.assert_allclose(out, expected, atol=1e-5)
    assert 0.05 < inside.mean() < 0.95


@pytest.mark.parametrize("dtype", ["int32", "float32"])
@pytest.mark.parametrize("channels", [1, 2])
def test_nearest_is_scipy(dtype, channels):
    volume, field = volume_and_field((12, 10), channels)
    volume = (99 * volume).astype(dtype)
    out = array(ops.resample(volume, field, "nearest"))
    assert out.dtype == dtype
    grid = np.stack(np.meshgrid(np.arange(12), np.arange(10), indexing="ij"), axis=-1)
    at = np.clip(np.round(grid + field), 0, [11, 9]).astype(int)
    expected = np.stack([volume[b][at[b, ..., 0], at[b, ..., 1]] for b in range(2)])
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("source", [(8, 11), (9, 12)])
@pytest.mark.parametrize("target", [(5, 6), (12, 15), (8, 12)])
def test_other_shape_is_a_crop_or_pad_about_the_centre(source, target):
    volume = np.random.default_rng(0).uniform(1, 2, (1, *source, 1)).astype("float32")
    identity = np.eye(3, dtype="float32")[None]
    out = array(ops.resample(volume, identity, fill=0.0, shape=target))[0, ..., 0]
    expected = np.zeros(target, "float32")
    low = [(n - m) // 2 for n, m in zip(source, target, strict=True)]
    for i, j in np.ndindex(*target):
        a, b = i + low[0], j + low[1]
        if 0 <= a < source[0] and 0 <= b < source[1]:
            expected[i, j] = volume[0, a, b, 0]
    np.testing.assert_allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize("source", [(9, 11), (8, 10), (12, 7)])
def test_dynamic_shape_is_like_the_static_one(source):
    """What a synthesis model sees: a label map of any size."""
    target = (8, 9)
    labels = np.random.default_rng(0).integers(0, 99, (2, *source, 1)).astype("int32")
    matrix = np.repeat(np.eye(3, dtype="float32")[None], 2, axis=0)
    matrix[:, 0, 2] = [1, -2]
    expected = array(ops.resample(labels, matrix, "nearest", 0, target))
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow has shapes that are not known when a graph is made")
    import tensorflow as tf

    signature = [tf.TensorSpec((None, None, None, 1), tf.int32), tf.TensorSpec((None, 3, 3))]
    function = tf.function(
        lambda x, t: ops.resample(x, t, "nearest", 0, target), input_signature=signature
    )
    np.testing.assert_array_equal(array(function(labels, matrix)), expected)


def test_unknown_input_shape_in_a_model():
    labels = keras.Input((None, None, 1), dtype="int32")
    from synthtf.layers import Resample

    matrix = keras.Input((3, 3))
    model = keras.Model([labels, matrix], Resample(shape=(6, 6))(labels, matrix))
    identity = np.eye(3, dtype="float32")[None]
    for size in (6, 9, 4):
        out = array(model([np.ones((1, size, size, 1), "int32"), identity]))
        assert out.shape == (1, 6, 6, 1) and out.sum() == min(size, 6) ** 2


def test_shift_by_a_field_and_by_a_matrix_agree():
    volume = np.random.default_rng(0).uniform(size=(1, 9, 8, 1)).astype("float32")
    matrix = np.eye(3, dtype="float32")[None]
    matrix[0, :2, 2] = [1.25, -0.5]
    field = np.broadcast_to(np.array([1.25, -0.5], "float32"), (1, 9, 8, 2))
    one, other = (array(ops.resample(volume, t, fill=0.0)) for t in (matrix, field))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_axis_of_one_voxel():
    volume = np.arange(5, dtype="float32").reshape(1, 5, 1, 1)
    out = array(ops.resample(volume, np.zeros((1, 5, 1, 2), "float32"), fill=0.0))
    np.testing.assert_array_equal(out, volume)


def test_invalid_arguments():
    volume, field = volume_and_field((5, 6))
    with pytest.raises(ValueError, match='`interpolation` must be "linear" or "nearest"'):
        ops.resample(volume, field, "cubic")
    with pytest.raises(
        ValueError, match=r"`transform` must be a matrix \(batch, 3, 3\) or a field"
    ):
        ops.resample(volume, kops.zeros((2, 4, 4)))
