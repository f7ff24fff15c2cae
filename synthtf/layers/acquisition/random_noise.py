"""Random noise."""

from typing import Any

import keras
from keras import ops

from synthtf import random
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.ranges import Range, as_range


@keras.saving.register_keras_serializable(package="synthtf")
class RandomNoise(RandomLayer):
    """Add white noise.

    "gaussian": `x + n`. "rician": `sqrt((x + n₁)² + n₂²)`, the magnitude of a
    complex image with Gaussian noise in both parts.

    Args:
        std: `(low, high)`, in units of intensity; drawn per sample.
        distribution: "gaussian" or "rician".
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Raises:
        ValueError: if the range is reversed or negative, or the distribution is unknown.

    Example:
    >>> import numpy as np
    >>> image = RandomNoise(std=0.1, seed=1)(np.zeros((1, 64, 64, 1), "float32"))
    >>> round(float(np.std(image)), 1)
    0.1

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025;
        Gudbjartsson and Patz, The Rician distribution of noisy MRI data, MRM 1995.
    """

    def __init__(
        self, std: Range = (0, 0.1), distribution: str = "gaussian", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.std = as_range(std, "std", 0)
        if distribution not in ("gaussian", "rician"):
            raise ValueError(
                '`distribution` must be "gaussian" or "rician". '
                f"Received: distribution={distribution!r}"
            )
        self.distribution = distribution

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "std" and the standard-normal volumes."""
        draws = {
            "std": self.uniform(key, "std", self.std),
            "real": random.normal(random.fold_in(key, "real"), tuple(shape[1:])),
        }
        if self.distribution == "rician":
            draws["imaginary"] = random.normal(random.fold_in(key, "imaginary"), tuple(shape[1:]))
        return draws

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Add the noise."""
        image = as_image(inputs)
        std = expand(draws["std"], image)
        noisy = image + std * draws["real"]
        if self.distribution == "gaussian":
            return noisy
        return ops.sqrt(ops.square(noisy) + ops.square(std * draws["imaginary"]))

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "std": self.std, "distribution": self.distribution}
