"""Random blur."""

import math
from typing import Any

import keras
from keras import ops

from synthtf.arguments import Millimetres, Spacing
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.linear import apply_along_axes, blur_matrix
from synthtf.ranges import per_axis


@keras.saving.register_keras_serializable(package="synthtf")
class RandomBlur(RandomLayer):
    """Blur each image with a Gaussian of random width along each axis.

    Args:
        std: `(low, high)`, mm, drawn per sample and axis.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Raises:
        ValueError: if the range is reversed or negative.

    Example:
    >>> import numpy as np
    >>> image = np.zeros((1, 9, 9, 1), "float32")
    >>> image[0, 4, 4] = 1
    >>> round(float(RandomBlur(std=1.0)(image)[0, 4, 4, 0]), 2)
    0.16

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025.
    """

    is_linear = True

    def __init__(self, std: Millimetres = (0, 2), spacing: Spacing = 1.0, **kwargs: Any) -> None:
        super().__init__(std=std, spacing=spacing, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "std" in mm, `(batch, ndim)`."""
        return {"std": self.uniform(key, "std", self.std, (len(shape) - 2,))}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Blur along each axis."""
        image = as_image(inputs)
        return apply_along_axes(image, *self.matrices(tuple(image.shape), draws))

    def matrices(
        self, shape: tuple[int | None, ...], draws: dict[str, Tensor]
    ) -> tuple[list[Tensor], list[int]]:
        """Give the matrix of each axis, and how far from its diagonal it has entries.

        A `std` above the range counts as its upper bound.
        """
        spacing = per_axis(self.spacing, len(shape) - 2)
        std = ops.minimum(draws["std"], self.std[1])
        matrices = [blur_matrix(std[:, d] / mm, shape[d + 1]) for d, mm in enumerate(spacing)]
        return matrices, [math.ceil(4 * self.std[1] / mm) for mm in spacing]
