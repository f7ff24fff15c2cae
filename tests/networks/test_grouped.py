import keras
import numpy as np
import pytest

from synthtf.inference.patches.predict import predict_patches
from synthtf.networks import grouped_unet
from synthtf.networks.grouped import GroupNormalization


def test_patches_give_the_result_of_the_whole():
    network = grouped_unet([(2, 8), (8, 16)], [(8, 2)], 3)
    image = np.random.default_rng(0).uniform(size=(48, 32, 40)).astype("float32")
    whole = network.predict_on_batch(image[None, ..., None])[0]
    found = predict_patches(network, image, (32, 32, 32))
    np.testing.assert_allclose(found, whole, atol=1e-4)


def test_statistics_are_precise():
    """Features that differ from each other by a thousandth of their mean."""
    x = np.random.default_rng(0).normal(1000, 1, (1, 40, 40, 40, 8)).astype("float32")
    layer = GroupNormalization(4, epsilon=1e-5)
    found = keras.ops.convert_to_numpy(layer(x))
    groups = x.astype("float64").reshape(1, -1, 4, 2)
    expected = (groups - groups.mean(axis=(1, 3), keepdims=True)) / np.sqrt(
        groups.var(axis=(1, 3), keepdims=True) + 1e-5
    )
    np.testing.assert_allclose(found, expected.reshape(x.shape), atol=1e-4)
    theirs = keras.ops.convert_to_numpy(keras.layers.GroupNormalization(4, epsilon=1e-5)(x))
    assert not np.allclose(theirs, expected.reshape(x.shape), atol=1e-3)


def test_sizes_must_fit():
    with pytest.raises(ValueError, match="must have one level fewer than `encoder`"):
        grouped_unet([(2, 8)], [(2, 8)], 3)
    with pytest.raises(ValueError, match=r"fewer than 8 or a multiple of it. Received: 12"):
        grouped_unet([(2, 12), (8, 8)], [(8, 8)], 3)
