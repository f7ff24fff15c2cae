"""What the abstract base gives every random layer."""

from typing import Annotated, Literal

import keras
import numpy as np
import pytest
from keras import ops

from synthtf.arguments import Limits, Millimetres
from synthtf.layers import RandomBlur, RandomIntensity, RandomLayer, SynthesisLayer
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


@keras.saving.register_keras_serializable(package="tests")
class Blur(RandomLayer):
    """A layer with a range, a number and a choice."""

    def __init__(
        self,
        std: Millimetres = (0, 2),
        rim: Annotated[float, Limits(0, 1)] = 0.5,
        form: Literal["box", "round"] = "box",
        **kwargs,
    ):
        super().__init__(std=std, rim=rim, form=form, **kwargs)


def test_arguments_are_checked_stored_and_in_the_config():
    layer = Blur(std=3, name="blur", probability=1)
    assert (layer.std, layer.rim, layer.form) == ((3.0, 3.0), 0.5, "box")
    own = {"std": (3.0, 3.0), "rim": 0.5, "form": "box", "probability": 1.0, "seed": None}
    assert layer.get_config() == {**SynthesisLayer(name="blur").get_config(), **own}
    with pytest.raises(ValueError, match="`form` must be one of"):
        Blur(form="star")
    with pytest.raises(ValueError, match="Unrecognized keyword arguments"):
        Blur(gamma=1)


@pytest.mark.parametrize("probability", [(0.2, 0.9), [0.5]])
def test_a_number_is_not_a_range(probability):
    with pytest.raises(ValueError, match="`probability` must be one number"):
        Blur(probability=probability)


def test_ranges_of_a_class_and_of_a_layer():
    assert list(Blur.ranges()) == ["probability", "std", "rim"]
    std = Blur.ranges()["std"]
    assert (std.name, std.low, std.high, std.unit) == ("std", 0, 2, "mm")
    assert (std.minimum, std.maximum, std.default) == (0, np.inf, (0, 2))
    std = Blur(std=(1, 3)).ranges()["std"]
    assert (std.low, std.high, std.default) == (1, 3, (0, 2))
    assert RandomIntensity.ranges()["mean"].high == 1


def test_keys_are_given_by_name():
    image, key = np.ones((1, 8, 8, 1), "float32"), make_keys(1)
    with pytest.raises(ValueError, match=r"keys are given by name.*Received: a list of 2"):
        RandomBlur()([image, key])
