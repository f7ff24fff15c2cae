import keras
import numpy as np
import pytest
from keras import ops

from synthtf.networks import HyperConv
from synthtf.testing import compiled, through_json, to_arrays


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("ndim, size", [(1, 3), (2, 3), (2, 5), (3, 3)])
def test_each_sample_has_its_own_kernel(ndim, size, batch):
    layer = HyperConv(3, size)
    features, hyper = noise(batch, *(6, 4, 8)[:ndim], 2), noise(batch, 4)
    layer([features, hyper])
    for seed, weight in enumerate(layer.weights):
        weight.assign(noise(*weight.shape, seed=seed))
    out = to_arrays(layer([features, hyper]))[0]
    kernel, slope, bias, bias_slope = map(ops.convert_to_numpy, layer.get_weights())
    for row, h in enumerate(hyper):
        own = kernel + (h @ slope).reshape(kernel.shape)
        moved = ops.convert_to_numpy(ops.conv(features[row : row + 1], own, padding="same"))
        expected = moved + bias + h @ bias_slope
        np.testing.assert_allclose(out[row], expected[0], rtol=1e-4, atol=1e-4)


def test_dynamic_batch_and_shape():
    inputs = [keras.Input((None, None, 2)), keras.Input((4,))]
    layer = HyperConv(3)
    model = keras.Model(inputs, layer(inputs))
    assert model.output.shape == (None, None, None, 3)
    for batch in (1, 2, 5):
        pair = [noise(batch, 6, 4, 2), noise(batch, 4)]
        np.testing.assert_allclose(
            model.predict_on_batch(pair), to_arrays(layer(pair))[0], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("batch", [1, 3])
def test_all_weights_learn(batch):
    """Every weight has a gradient, in a step for a batch of unknown size."""
    inputs = [keras.Input((None, None, 2)), keras.Input((4,))]
    layer = HyperConv(3)
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    before = [np.array(weight) for weight in layer.get_weights()]
    model.fit([noise(batch, 6, 4, 2), noise(batch, 4)], noise(batch, 6, 4, 3), verbose=0)
    for old, new in zip(before, layer.get_weights(), strict=True):
        assert np.abs(new - old).max() > 1e-4


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_initial_features_keep_their_scale(strength):
    """Kernels of He's scale, whatever number goes through the dense layers before them."""
    keras.utils.set_random_seed(0)
    hyper = np.full((1, 1), strength, "float32")
    for _ in range(4):
        hyper = keras.layers.Dense(32, activation="relu", kernel_initializer="he_normal")(hyper)
    x = noise(1, 12, 12, 12, 16)
    for _ in range(3):
        x = ops.leaky_relu(HyperConv(32)([x, hyper]), 0.2)
    # Borders, which convolve zeros, are left out.
    root_mean_square = np.sqrt(np.mean(to_arrays(x)[0][:, 3:-3, 3:-3, 3:-3] ** 2))
    assert 0.5 < root_mean_square < 2


def test_initial_std_can_be_given():
    layer = HyperConv(8, kernel_std=1e-5)
    out = to_arrays(layer([noise(2, 8, 8, 4), noise(2, 16)]))[0]
    assert 0 < np.abs(out).max() < 1e-3


def test_round_trips(tmp_path):
    inputs = [keras.Input((None, None, 2)), keras.Input((4,))]
    layer = HyperConv(3, 5, 0.1, name="tested")
    model = keras.Model(inputs, layer(inputs))
    assert through_json(layer).get_config() == layer.get_config()
    model.save(tmp_path / "model.keras")
    pair = [noise(2, 6, 4, 2), noise(2, 4)]
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict_on_batch(pair), model.predict_on_batch(pair))


def test_eager_and_compiled_agree():
    layer = HyperConv(3)
    pair = [ops.convert_to_tensor(noise(3, 6, 4, 2)), ops.convert_to_tensor(noise(3, 4))]
    expected = to_arrays(layer(pair))[0]
    function, _ = compiled(lambda *pair: layer(list(pair)))
    np.testing.assert_allclose(to_arrays(function(*pair))[0], expected, rtol=1e-5, atol=1e-5)


def test_mixed_precision():
    layer = HyperConv(3, dtype="mixed_bfloat16")
    out = layer([noise(2, 6, 4, 2), noise(2, 4)])
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    assert {keras.backend.standardize_dtype(w.dtype) for w in layer.weights} == {"float32"}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"filters": 0}, "`filters` must be an integer of at least 1. Received: filters=0"),
        ({"filters": 2, "kernel_size": 1.5}, "`kernel_size` must be an integer"),
        ({"filters": 2, "kernel_std": 0}, "`kernel_std` must be positive or None"),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        HyperConv(**arguments)


def test_invalid_inputs():
    for inputs in (noise(1, 8, 8, 2), [noise(1, 8, 8, 2)], [noise(1, 8, 8, 2), noise(1, 8, 2)]):
        with pytest.raises(ValueError, match="HyperConv takes a list of features"):
            HyperConv(2)(inputs)
