"""Random inversion of contrast."""

from typing import Any

import keras
from keras import ops

from synthtf.arguments import Probability
from synthtf.layers.base import RandomLayer, Tensor, as_image


@keras.saving.register_keras_serializable(package="synthtf")
class RandomInversion(RandomLayer):
    """Turn bright into dark and dark into bright: `a + b - x`.

    Here `a` and `b` are the smallest and the largest intensity of a sample and channel, of the
    foreground if that alone is inverted, so that the range is kept.

    Args:
        foreground: whether only voxels above zero are inverted, and background stays.
        probability: chance that a sample is inverted; drawn per sample.
        **kwargs: `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Example:
    >>> import numpy as np
    >>> image = np.array([0, 1, 2, 4], "float32").reshape(1, 4, 1, 1)
    >>> np.asarray(RandomInversion(probability=1)(image)).ravel().tolist()
    [0.0, 4.0, 3.0, 1.0]
    """

    def __init__(
        self, foreground: bool = True, probability: Probability = 0.5, **kwargs: Any
    ) -> None:
        super().__init__(foreground=foreground, probability=probability, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw only whether a sample is inverted."""
        return {}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Invert."""
        image = as_image(inputs)
        axes = tuple(range(1, len(image.shape) - 1))
        high = ops.max(image, axis=axes, keepdims=True)
        if not self.foreground:
            return ops.min(image, axis=axes, keepdims=True) + high - image
        inside = image > 0
        low = ops.min(ops.where(inside, image, high), axis=axes, keepdims=True)
        return ops.where(inside, low + high - image, image)
