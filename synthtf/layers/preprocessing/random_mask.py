"""Random masking by label."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf import random
from synthtf.layers.base import RandomLayer, Tensor, as_image, as_labels, expand
from synthtf.ops.labels import map_labels


@keras.saving.register_keras_serializable(package="synthtf")
class RandomMask(RandomLayer):
    """Set the image to zero outside given labels, as skull-stripping does.

    Args:
        labels: label values that are kept.
        optional: label values that are kept or not, all alike, at random per sample: the
            CSF around the brain, say.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `[image, labels]`: float `(batch, *spatial, channels)` and integer
        `(batch, *spatial, 1)`.
    Output shape: that of the image, float32.

    Raises:
        ValueError: if no label is given or one is negative.

    Example:
    >>> import numpy as np
    >>> labels = np.array([0, 2, 258], "int32").reshape(1, 3, 1, 1)
    >>> image = np.ones((1, 3, 1, 1), "float32")
    >>> np.asarray(RandomMask(labels=[2])([image, labels])).ravel().tolist()
    [0.0, 1.0, 0.0]

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025.
    """

    def __init__(self, labels: Sequence[int], optional: Sequence[int] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels = tuple(int(v) for v in labels)
        self.optional = tuple(int(v) for v in optional)
        if not self.labels or min(self.labels + self.optional) < 0:
            raise ValueError(
                "`labels` must hold at least one value, none negative. "
                f"Received: labels={self.labels}, optional={self.optional}"
            )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "keep", one where the optional labels are kept, else zero."""
        if not self.optional:
            return {}
        return {"keep": random.integers(random.fold_in(key, "keep"), (), 0, 1)}

    def transform(self, inputs: list[Tensor], draws: dict[str, Tensor]) -> Tensor:
        """Multiply by the mask."""
        image, labels = inputs
        # Added to one, so that label 0 can be kept although a look-up gives 0 by default.
        labels = as_labels(labels) + 1
        mask = map_labels(labels, {v + 1: 1 for v in self.labels})
        if self.optional:
            optional = map_labels(labels, {v + 1: 1 for v in self.optional})
            mask = ops.maximum(mask, optional * expand(draws["keep"], optional))
        return as_image(image) * ops.cast(mask, "float32")

    def identity(self, inputs: list[Tensor]) -> Tensor:
        """Keep the image."""
        return as_image(inputs[0])

    def output_spec(self, inputs: list[Any]) -> Any:
        """The image."""
        return keras.KerasTensor(inputs[0].shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "labels": self.labels, "optional": self.optional}
