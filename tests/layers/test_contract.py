"""The layer contract sees a layer that breaks it."""

from typing import Annotated

import keras
import pytest

from synthtf.arguments import Limits, Probability, Proportion
from synthtf.layers import SynthesisLayer
from synthtf.layers.base import RandomLayer
from synthtf.ranges import Range
from synthtf.testing import LayerContract


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
