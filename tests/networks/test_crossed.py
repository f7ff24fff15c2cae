import keras
import numpy as np
import pytest
from keras import ops

from synthtf.networks import cross_unet
from synthtf.networks.crossed import CrossBlock
from synthtf.training.memory import training_bytes


def inputs(ndim, images, size=8):
    rng = np.random.default_rng(images)
    shapes = {"image": (1, *(size,) * ndim, 1), "context": (1, images, *(size,) * ndim, 2)}
    return {name: rng.uniform(size=shape).astype("float32") for name, shape in shapes.items()}


@pytest.mark.parametrize("ndim", [2, 3])
def test_context_of_any_number_in_any_order(ndim, tmp_path):
    network = cross_unet(4, 2, ndim)
    given = inputs(ndim, 3)
    found = ops.convert_to_numpy(network(given))
    assert found.shape == (*given["image"].shape[:-1], 2)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    turned = {**given, "context": given["context"][:, ::-1]}
    np.testing.assert_allclose(ops.convert_to_numpy(network(turned)), found, atol=1e-5)
    twice = {**given, "context": np.concatenate([given["context"]] * 2, axis=1)}
    np.testing.assert_allclose(ops.convert_to_numpy(network(twice)), found, atol=1e-5)
    other = {**given, "context": 1 - given["context"]}
    assert np.abs(ops.convert_to_numpy(network(other)) - found).max() > 1e-3
    assert training_bytes(network, (8,) * ndim)[0] > 0
    if ndim == 2:
        network.save(tmp_path / "network.keras")
        again = keras.models.load_model(tmp_path / "network.keras")
        np.testing.assert_allclose(ops.convert_to_numpy(again(given)), found, atol=1e-6)


def test_samples_have_a_context_of_their_own():
    network = cross_unet(4, 2)
    one, two = inputs(2, 2), inputs(2, 2, 8)
    two["context"] = 1 - two["context"]
    both = {name: np.concatenate([one[name], two[name]]) for name in one}
    found = ops.convert_to_numpy(network(both))
    np.testing.assert_allclose(found[:1], ops.convert_to_numpy(network(one)), atol=1e-5)
    np.testing.assert_allclose(found[1:], ops.convert_to_numpy(network(two)), atol=1e-5)


def test_a_block_is_a_convolution_of_both_beside_each_other():
    block = CrossBlock(3, activation="relu", ends=True)
    rng = np.random.default_rng(0)
    image, context = (rng.normal(size=(n, 6, 6, 2)).astype("float32") for n in (1, 2))
    found = ops.convert_to_numpy(block([image, context]))
    kernel = ops.concatenate([block.of_image.kernel, block.of_context.kernel], axis=2)
    pairs = np.concatenate([np.repeat(image, 2, axis=0), context], axis=-1)
    between = ops.relu(ops.conv(pairs, kernel, padding="same") + block.of_image.bias)
    mean = ops.mean(between, axis=0, keepdims=True)
    shown = ops.convert_to_numpy(ops.relu(block.to_image(mean)))
    np.testing.assert_allclose(found, shown, atol=1e-5)


def test_two_or_three_axes():
    with pytest.raises(ValueError, match="ndim must be 2 or 3"):
        cross_unet(4, 2, ndim=1)
