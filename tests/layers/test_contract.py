"""The layer contract sees a layer that breaks it."""

from typing import Annotated

import keras
import numpy as np
import pytest
from keras import ops

from synthtf.arguments import Limits, Probability, Proportion
from synthtf.layers import SynthesisLayer
from synthtf.layers.base import RandomLayer, as_image, expand
from synthtf.ranges import Range
from synthtf.testing import LayerContract, RandomLayerContract, make_keys


class NotStored(SynthesisLayer):
    """Hands on one argument of two."""

    def __init__(self, drop: Proportion = 0.5, gain: Proportion = 0.5, **kwargs):
        super().__init__(drop=drop, **kwargs)


class Undescribed(SynthesisLayer):
    """Does not say what its argument may be."""

    def __init__(self, drop=0.5, **kwargs):
        super().__init__(drop=drop, **kwargs)


class HiddenBound(SynthesisLayer):
    """Refuses what its signature allows."""

    def __init__(self, drop: Annotated[Range, Limits(0)] = 0.5, **kwargs):
        super().__init__(drop=drop, **kwargs)
        if self.drop[1] > 1:
            raise ValueError(f"`drop` must be at most 1. Received: drop={drop!r}")


class Forgiving(SynthesisLayer):
    """Does not check what its signature says."""

    def __init__(self, drop: Proportion = 0.5, **kwargs):
        super().__init__(**kwargs)
        self.drop = drop


class SecondDefault(SynthesisLayer):
    """Has a default in its body."""

    def __init__(self, drop: Proportion | None = None, **kwargs):
        super().__init__(drop=(0, 0.5) if drop is None else drop, **kwargs)


class DefaultInDocstring(SynthesisLayer):
    """Does things.

    Args:
        drop: of intensity, default 0.5.
    """

    def __init__(self, drop: Proportion = 0.5, **kwargs):
        super().__init__(drop=drop, **kwargs)


class DefaultOfBase(RandomLayer):
    """Repeats the probability of its base."""

    def __init__(self, probability: Probability = 1.0, **kwargs):
        super().__init__(probability=probability, **kwargs)


@keras.saving.register_keras_serializable(package="tests")
class OtherConfig(SynthesisLayer):
    """Leaves an argument out of its config."""

    def __init__(self, drop: Proportion = 0.5, **kwargs):
        super().__init__(drop=drop, **kwargs)

    def get_config(self):
        config = super().get_config()
        del config["drop"]
        return config


SAID = LayerContract.test_arguments_are_said_once
DEFAULTS = LayerContract.test_defaults_are_said_once
LIMITS = LayerContract.test_limits_are_those_of_the_signature


@pytest.mark.parametrize(
    ("layer", "promise"),
    [
        (NotStored, SAID),
        (Undescribed, SAID),
        (Forgiving, SAID),
        (SecondDefault, SAID),
        (OtherConfig, SAID),
        (HiddenBound, LIMITS),
        (Forgiving, LIMITS),
        (DefaultInDocstring, DEFAULTS),
        (DefaultOfBase, DEFAULTS),
    ],
)
def test_a_broken_promise_is_seen(layer, promise):
    contract = LayerContract()
    contract.layer = layer
    with pytest.raises((AssertionError, AttributeError)):
        promise(contract)


@keras.saving.register_keras_serializable(package="tests")
class Scaled(RandomLayer):
    """Keeps every promise: scales an image by a number per sample."""

    def __init__(self, gain: Annotated[Range, Limits(0)] = (0.5, 2), **kwargs):
        super().__init__(gain=gain, **kwargs)

    def draw(self, key, shape):
        return {"gain": self.uniform(key, "gain", self.gain)}

    def transform(self, inputs, draws):
        image = as_image(inputs)
        return image * expand(draws["gain"], image)


class ByBatchSize(Scaled):
    def transform(self, inputs, draws):
        return super().transform(inputs, draws) * ops.cast(ops.shape(inputs)[0], "float32")


class ByNeighbours(Scaled):
    def transform(self, inputs, draws):
        return super().transform(inputs, draws) + ops.mean(as_image(inputs))


class ByNumPy(Scaled):
    def draw(self, key, shape):
        gain = np.random.default_rng().uniform(size=1).astype("float32")
        return {"gain": ops.cast(key[:, 0], "float32") * 0 + gain}


class WithoutItsName(Scaled):
    def sample(self, key, shape):
        return self.draw(key, shape)


class NotItsDraws(Scaled):
    def call(self, inputs, key=None):
        return 2 * super().call(inputs, key)


class WithoutBatchAxis(Scaled):
    def draw(self, key, shape):
        return {**super().draw(key, shape), "offset": ops.ones((3,))}


class OneChance(Scaled):
    """Draws whether to change the whole batch."""

    def sample(self, key, shape):
        draws = super().sample(key, shape)
        if "active" in draws:
            draws["active"] = ops.broadcast_to(draws["active"][:1], ops.shape(draws["active"]))
        return draws


class InHalf(Scaled):
    """Computes in the dtype of the global policy."""

    def transform(self, inputs, draws):
        half = keras.config.dtype_policy().compute_dtype
        return ops.cast(ops.cast(super().transform(inputs, draws), half), "float32")


class WrongSpec(Scaled):
    def output_spec(self, inputs):
        return keras.KerasTensor((*inputs.shape[:-1], 3), "float32")


class OtherInGraph(Scaled):
    """Does something else where it is traced."""

    def transform(self, inputs, draws):
        traced = "Symbolic" in type(inputs).__name__ or "Tracer" in type(inputs).__name__
        return super().transform(inputs, draws) * (2.0 if traced else 1.0)


class Counting(Scaled):
    """Has a state in Python."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = 0

    def transform(self, inputs, draws):
        self.calls += 1
        return super().transform(inputs, draws)


class NotFinite(Scaled):
    def transform(self, inputs, draws):
        return super().transform(inputs, draws) / 0.0


class Idle(Scaled):
    def transform(self, inputs, draws):
        return as_image(inputs)


class NeverIdle(Scaled):
    def transform(self, inputs, draws):
        return super().transform(inputs, draws) + 1.0


class NeedsAKey(Scaled):
    def call(self, inputs, key=None):
        return super().call(inputs, make_keys(len(inputs)) if key is None else key)


@keras.saving.register_keras_serializable(package="tests")
class LostOnTheWay(Scaled):
    """Comes back with another argument."""

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "gain": 1})


def contract_of(layer):
    contract = RandomLayerContract()
    contract.layer, contract.identity_arguments = layer, {"gain": 1}
    return contract


# A layer that breaks a promise, and the promise.
BROKEN = [
    (ByBatchSize, "batch_of_one_is_a_row_of_four"),
    (ByNeighbours, "samples_are_independent"),
    (ByNumPy, "same_key_same_bits"),
    (WithoutItsName, "name_decides_the_draws"),
    (NotItsDraws, "call_is_sample_then_apply"),
    (WithoutBatchAxis, "call_is_sample_then_apply"),
    (OneChance, "probability_is_per_sample"),
    (InHalf, "mixed_precision_changes_nothing"),
    (WrongSpec, "symbolic_output_is_that_of_a_call"),
    (Counting, "call_leaves_inputs_and_layer_alone"),
    (NotFinite, "call_leaves_inputs_and_layer_alone"),
    (Idle, "arguments_change_something"),
    (NeverIdle, "identity_arguments"),
    (NeedsAKey, "without_a_key"),
    (LostOnTheWay, "config_and_json_round_trip"),
]
BROKEN += [(OtherInGraph, "eager_and_compiled_agree")] * (keras.backend.backend() != "torch")
NEEDS_VARIANT = ("batch_of_one", "symbolic_output", "call_", "config_and_json")


def keep(layer, promise):
    variant = ({},) if promise.startswith(NEEDS_VARIANT) else ()
    getattr(contract_of(layer), f"test_{promise}")(2, *variant)


@pytest.mark.parametrize("promise", sorted({promise for _, promise in BROKEN}))
def test_a_good_layer_keeps_its_promises(promise):
    keep(Scaled, promise)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("layer", "promise"), BROKEN)
def test_a_layer_broken_on_purpose_is_seen(layer, promise):
    with pytest.raises((AssertionError, AttributeError, ValueError)):
        keep(layer, promise)
