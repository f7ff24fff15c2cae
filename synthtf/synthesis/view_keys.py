"""The keys of several images of a sample, which share some draws and not others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits
from synthtf.layers.base import SynthesisLayer, Tensor
from synthtf.ranges import Range

ALWAYS, NEVER = (0.0, 1.0), (0.0, 0.0)
"""For a step whose draws all images of a sample share, and for one whose draws are of each."""


@dataclass(frozen=True)
class Views:
    """How many images a sample has, and what they share.

    Attributes:
        number: images per sample.
        shared: gives for a step when all images share its draws: a number that is drawn from
            [0, 1) once for each sample lies between the two.
        are_given: whether label maps come one per image, those of a sample next to each other; else
            one label map per sample is that of all its images.
    """

    number: int
    shared: Callable[[SynthesisLayer], Range]
    are_given: bool = False


@keras.saving.register_keras_serializable(package="synthtf")
class ViewKeys(SynthesisLayer):
    """Give the keys of the images of each sample; the first one has that of the sample.

    Args:
        number: images per sample.
        shared: all of them have the key of the sample where a number that is drawn from [0, 1)
            lies between the two; it is the same in all layers.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, 2)`, int32.
    Output shape: `(batch · number, 2)`, int32.
    """

    gives = ()

    def __init__(
        self,
        number: Annotated[int, Limits(1)],
        shared: Annotated[Range, Limits(0, 1)] = NEVER,
        **kwargs: Any,
    ) -> None:
        super().__init__(number=number, shared=shared, **kwargs)

    def call(self, key: Tensor) -> Tensor:
        """Fold the number of the image into the key, or not."""
        key = ops.cast(key, "int32")
        low, high = self.shared
        if (low, high) == ALWAYS:
            return ops.repeat(key, self.number, axis=0)
        own = [key, *(random.fold_in(key, f"view_{index}") for index in range(1, self.number))]
        if low < high:
            drawn = random.uniform(random.fold_in(key, "shared"), (1,))
            same = ops.logical_and(drawn >= low, drawn < high)
            own = [ops.where(same, key, each) for each in own]
        return ops.reshape(ops.stack(own, axis=1), (-1, 2))

    def output_spec(self, key: Tensor) -> Tensor:
        """A key for each image."""
        batch = key.shape[0]
        return keras.KerasTensor((batch and batch * self.number, 2), "int32")
