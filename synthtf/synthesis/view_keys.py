"""The keys of several images of a sample, which share some draws and not others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, Probability
from synthtf.layers.base import SynthesisLayer, Tensor


@dataclass(frozen=True)
class Views:
    """How many images a sample has, and what they share.

    Attributes:
        number: images per sample.
        shared: gives for a step how likely it is, per sample, that all images share its draws;
            steps that are equally likely to are shared together.
    """

    number: int
    shared: Callable[[SynthesisLayer], float]


@keras.saving.register_keras_serializable(package="synthtf")
class ViewKeys(SynthesisLayer):
    """Give the keys of the images of each sample; the first one has that of the sample.

    Args:
        number: images per sample.
        shared: how likely it is that all of them have the key of the sample.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, 2)`, int32.
    Output shape: `(batch · number, 2)`, int32.
    """

    gives = ()

    def __init__(
        self, number: Annotated[int, Limits(1)], shared: Probability = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(number=number, shared=shared, **kwargs)

    def call(self, key: Tensor) -> Tensor:
        """Fold the number of the image into the key, or not."""
        key = ops.cast(key, "int32")
        others = range(1, self.number if self.shared < 1 else 1)
        own = [key, *(random.fold_in(key, f"view_{index}") for index in others)]
        if self.shared == 1:
            return ops.repeat(key, self.number, axis=0)
        if self.shared > 0:
            chance = random.uniform(random.fold_in(key, "shared"), (1,))
            own = [ops.where(chance < self.shared, key, each) for each in own]
        return ops.reshape(ops.stack(own, axis=1), (-1, 2))

    def output_spec(self, key: Tensor) -> Tensor:
        """A key for each image."""
        batch = key.shape[0]
        return keras.KerasTensor((batch and batch * self.number, 2), "int32")
