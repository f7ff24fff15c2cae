"""Random mixtures of real and synthetic images."""

from typing import Any

import keras

from synthtf.arguments import Proportion
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.ops.noise import normalize


@keras.saving.register_keras_serializable(package="synthtf")
class RandomMix(RandomLayer):
    """Mix a real with a synthetic image of the same anatomy.

    `w real + (1 - w) synthetic`, after each is min-max normalised: true anatomy that labels
    do not show, such as vessels and lesions, under random contrast.

    Args:
        weight: `(low, high)`, w, in [0, 1]; drawn per sample.
        **kwargs: `probability`, `seed`, `name`. A sample that is left alone is the real image,
            normalised.

    Input shape: `[real, synthetic]`, both `(batch, *spatial, channels)`, float, on one grid.
    Output shape: that of the real image, float32 in [0, 1].

    Raises:
        ValueError: if the range is reversed or leaves [0, 1].

    Example:
    >>> import numpy as np
    >>> real = np.array([0, 50, 100], "float32").reshape(1, 3, 1, 1)
    >>> synthetic = np.array([3, 1, 1], "float32").reshape(1, 3, 1, 1)
    >>> np.asarray(RandomMix(weight=0.5)([real, synthetic])).ravel().tolist()
    [0.5, 0.25, 0.5]

    Reference: Zhang et al., mixup: Beyond empirical risk minimization, ICLR 2018;
        here with one anatomy and one target.
    """

    gives = ()

    def __init__(self, weight: Proportion = (0, 1), **kwargs: Any) -> None:
        super().__init__(weight=weight, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "weight"."""
        return {"weight": self.uniform(key, "weight", self.weight)}

    def transform(self, inputs: list[Tensor], draws: dict[str, Tensor]) -> Tensor:
        """Normalise and mix."""
        real, synthetic = (normalize(as_image(x)) for x in inputs)
        weight = expand(draws["weight"], real)
        return weight * real + (1.0 - weight) * synthetic

    def identity(self, inputs: list[Tensor]) -> Tensor:
        """Normalise the real image."""
        return normalize(as_image(inputs[0]))

    def output_spec(self, inputs: list[Any]) -> Any:
        """An image like the real one."""
        return keras.KerasTensor(inputs[0].shape, "float32")
