"""Random masking by label."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf.layers.base import RandomLayer, Tensor, as_image, as_labels
from synthtf.ops.labels import map_labels


@keras.saving.register_keras_serializable(package="synthtf")
class RandomMask(RandomLayer):
    """Set the image to zero outside given labels, as skull-stripping does.

    Args:
        labels: label values that are kept.
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

    def __init__(self, labels: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels = tuple(int(v) for v in labels)
        if not self.labels or min(self.labels) < 0:
            raise ValueError(
                "`labels` must hold at least one value, none negative. "
                f"Received: labels={self.labels}"
            )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw nothing but whether a sample is masked."""
        return {}

    def transform(self, inputs: list[Tensor], draws: dict[str, Tensor]) -> Tensor:
        """Multiply by the mask."""
        image, labels = inputs
        kept = dict.fromkeys(self.labels, 1)
        mask = map_labels(as_labels(labels), kept)
        if 0 in kept:
            mask = ops.where(ops.equal(labels, 0), 1, mask)
        return as_image(image) * ops.cast(mask, "float32")

    def identity(self, inputs: list[Tensor]) -> Tensor:
        """Keep the image."""
        return as_image(inputs[0])

    def output_spec(self, inputs: list[Any]) -> Any:
        """The image."""
        return keras.KerasTensor(inputs[0].shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "labels": self.labels}
