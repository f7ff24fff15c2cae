"""What is made from a network goes with it."""

import gc
import weakref

import keras
import numpy as np

from synthtf.inference.kept import kept_with_network
from synthtf.inference.patches.graph import trace
from synthtf.inference.patches.predict import patchwise, predict_patches
from synthtf.networks import UNetConfig, unet

IMAGE = np.random.default_rng(0).random((32, 32, 32)).astype("float32")


@kept_with_network
def doubled(network, name):
    return keras.Model(network.input, keras.layers.Rescaling(2, name=name)(network.output))


def network_in_parts():
    """A network that was used in patches, and so has a graph, parts and another network."""
    network = unet(2, 3, UNetConfig(2, 2, normalization="batch"))
    predict_patches(network, IMAGE, (24, 24, 24))
    doubled(network, "two")
    return network


def test_it_is_made_once_for_each_network_and_argument():
    one, other = network_in_parts(), unet(2, 3, UNetConfig(2, 2))
    assert trace(one) is trace(one) and trace(one) is not trace(other)
    assert patchwise(one, 2) is patchwise(one, 2) and patchwise(one, 2).coarse == 2
    assert doubled(one, "two") is doubled(one, "two")
    assert doubled(one, "two") is not doubled(one, "three")


def test_nothing_holds_a_network_that_was_dropped():
    network = network_in_parts()
    there = [weakref.ref(x) for x in (network, trace(network), doubled(network, "two"))]
    there += [weakref.ref(layer) for layer in network.layers]
    del network
    gc.collect()
    assert not any(ref() is not None for ref in there)


def test_it_is_not_saved(tmp_path):
    network = network_in_parts()
    network.save(tmp_path / "model.keras")
    keras.models.clone_model(network)
    read = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(read(IMAGE[None, ..., None]), network(IMAGE[None, ..., None]))
    assert "_kept_by_synthtf" not in vars(read)
    assert len(network.layers) == len(read.layers)
