"""Randomly cleared slices."""

from typing import Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Proportion
from synthtf.layers.base import RandomLayer, Tensor, as_image


@keras.saving.register_keras_serializable(package="synthtf")
class RandomClearedSlices(RandomLayer):
    """Set random slices across one random axis to zero.

    Args:
        proportion: `(low, high)`, average share of slices that are cleared, in [0, 1]; drawn
            per sample.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Raises:
        ValueError: if the range is reversed or leaves [0, 1].

    Example:
    >>> import numpy as np
    >>> float(np.sum(RandomClearedSlices(proportion=1.0)(np.ones((1, 8, 8, 1), "float32"))))
    0.0

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025.
    """

    def __init__(self, proportion: Proportion = (0, 0.1), **kwargs: Any) -> None:
        super().__init__(proportion=proportion, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the axis, the proportion and one number per slice."""
        ndim = len(shape) - 2
        chance = random.fold_in(key, "slice")
        return {
            "axis": random.integers(random.fold_in(key, "axis"), (), 0, ndim - 1),
            "proportion": self.uniform(key, "proportion", self.proportion),
            "chance": random.uniform(chance, (ndim, max(shape[1:-1]))),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Multiply by the slices that are kept."""
        image = as_image(inputs)
        ndim = len(image.shape) - 2
        for axis in range(ndim):
            size = image.shape[axis + 1]
            kept = draws["chance"][:, axis, :size] >= draws["proportion"][:, None]
            kept = ops.logical_or(kept, ops.not_equal(draws["axis"], axis)[:, None])
            line = (-1, *(size if d == axis else 1 for d in range(ndim)), 1)
            image = image * ops.cast(ops.reshape(kept, line), "float32")
        return image
