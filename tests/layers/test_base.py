"""What the abstract base gives every random layer."""

import keras
import numpy as np
import pytest
from keras import ops

from synthtf.layers import RandomLayer, SynthesisLayer
from synthtf.layers.base import as_image_or_labels, as_labels
from synthtf.testing import check_mean, make_keys, to_arrays


class AddOne(RandomLayer):
    """The smallest random layer."""

    def draw(self, key, shape):
        return {"one": ops.ones((ops.shape(key)[0], 1, 1, 1))}

    def transform(self, inputs, draws):
        return inputs + draws["one"]


def test_probability_is_the_rate_of_change():
    image = np.zeros((500, 2, 2, 1), "float32")
    out = to_arrays(AddOne(probability=0.2)(image, make_keys(500)))[0]
    check_mean(out[:, 0, 0, 0], 0.2)


def test_draws_can_be_edited():
    layer = AddOne(probability=0.5)
    draws = layer.sample(make_keys(2), (2, 2, 2, 1))
    draws["active"] = np.array([True, False])
    draws["one"] = 5 * draws["one"]
    out = to_arrays(layer.apply(np.zeros((2, 2, 2, 1), "float32"), draws))[0]
    assert out[:, 0, 0, 0].tolist() == [5, 0]


def test_unfinished_layer_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="RandomLayer must implement `draw`"):
        RandomLayer().sample(make_keys(1), (1, 2, 2, 1))
    with pytest.raises(NotImplementedError, match="RandomLayer must implement `transform`"):
        RandomLayer().apply(np.zeros((1, 2, 2, 1)), {})


def test_computes_in_float32_and_never_casts_its_inputs():
    layer = SynthesisLayer()
    assert layer.compute_dtype == "float32" and not layer.autocast and not layer.weights


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_images_become_float32(dtype):
    assert keras.ops.dtype(as_image_or_labels(np.ones(3, dtype))) == "float32"


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "bool"])
def test_labels_become_int32(dtype):
    assert keras.ops.dtype(as_labels(ops.ones(3, dtype))) == "int32"
