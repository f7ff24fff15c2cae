"""Random gamma transforms."""

from typing import Annotated, Any

import keras

from synthtf.arguments import Limits
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.intensity import power
from synthtf.ops.noise import normalize
from synthtf.ranges import Range


@keras.saving.register_keras_serializable(package="synthtf")
class RandomGamma(RandomLayer):
    """Min-max normalise each image, then raise it to a random power.

    Args:
        gamma: `(low, high)`, exponent, positive; drawn per sample.
        **kwargs: `probability`, `seed`, `name`. A sample that is left alone is
            still normalised.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32 in [0, 1].

    Raises:
        ValueError: if the range is reversed or not positive.

    Example:
    >>> import numpy as np
    >>> image = np.array([0, 2, 4], "float32").reshape(1, 3, 1, 1)
    >>> np.round(RandomGamma(gamma=2)(image), 3).ravel().tolist()
    [0.0, 0.25, 1.0]

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025.
    """

    def __init__(self, gamma: Annotated[Range, Limits(1e-3)] = (0.5, 1.5), **kwargs: Any) -> None:
        super().__init__(gamma=gamma, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "gamma"."""
        return {"gamma": self.uniform(key, "gamma", self.gamma)}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Normalise and exponentiate."""
        return power(normalize(as_image(inputs)), draws["gamma"])

    def identity(self, inputs: Tensor) -> Tensor:
        """Normalise only."""
        return normalize(as_image(inputs))
