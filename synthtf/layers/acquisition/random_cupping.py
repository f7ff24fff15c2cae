"""Random cupping of computed tomography."""

from typing import Any

import keras
from keras import ops

from synthtf.arguments import Proportion
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.ops.linear import apply_along_axes


@keras.saving.register_keras_serializable(package="synthtf")
class RandomCupping(RandomLayer):
    """Darken the inside of the head, as beam hardening does in computed tomography.

    Soft rays are absorbed first, so that a beam is attenuated less the further it has gone:
    the centre looks darker. Within the head, an ellipsoid of radius `R`,

        out = image (1 - drop (1 - (r / R)²)),

    and unchanged outside. The ellipsoid is the one whose centre and variance along each
    axis are those of the image, `R_d² = (ndim + 2) var_d`, so air must be zero.

    Args:
        drop: `(low, high)`, relative loss of intensity at the centre, in [0, 1]; drawn
            per sample.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float. Channels share the ellipsoid; negative
        values count as air.
    Output shape: the same, float32.

    Raises:
        ValueError: if the range is reversed or leaves [0, 1].

    Example:
    >>> import numpy as np
    >>> image = RandomCupping(drop=0.2)(np.ones((1, 9, 9, 1), "float32"))
    >>> round(float(image[0, 4, 4, 0]), 3), float(image[0, 0, 0, 0])
    (0.8, 1.0)

    Reference: Brooks and Di Chiro, Beam hardening in X-ray reconstructive tomography, Physics
        in Medicine and Biology 1976.
    """

    def __init__(self, drop: Proportion = (0, 0.2), **kwargs: Any) -> None:
        super().__init__(drop=drop, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "drop"."""
        return {"drop": self.uniform(key, "drop", self.drop)}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Multiply by the parabola."""
        image = as_image(inputs)
        square = 0.0
        for term in self._squared_radius(image):
            square = square + term
        depth = ops.relu(1.0 - square)
        return image * (1.0 - expand(draws["drop"], image) * depth)

    @staticmethod
    def _squared_radius(image: Tensor) -> list[Tensor]:
        """Parts of `(r / R)²`, one per axis, that broadcast to `(batch, *spatial, 1)`."""
        shape = tuple(image.shape[1:-1])
        ndim = len(shape)
        # Positions from -1/2 to 1/2, whose powers 0 to 2 weight the image: products of matrices
        # give a sample the same bits at each place of a batch, which plain sums do not.
        places = [(ops.arange(n, dtype="float32") - (n - 1) / 2) / n for n in shape]
        powers = [ops.stack([ops.ones_like(x), x, ops.square(x)])[None] for x in places]
        moments = ops.sum(apply_along_axes(ops.relu(image), powers), axis=-1)
        mass = ops.maximum(moments[(slice(None), *(0,) * ndim)], 1e-20)
        parts = []
        for d, (size, x) in enumerate(zip(shape, places, strict=True)):
            first, second = (
                moments[(slice(None), *(power if k == d else 0 for k in range(ndim)))] / mass
                for power in (1, 2)
            )
            variance = ops.maximum(second - ops.square(first), 1e-7)
            square = ops.square(x - first[:, None]) / ((ndim + 2) * variance)[:, None]
            line = (-1, *(size if k == d else 1 for k in range(ndim)), 1)
            parts.append(ops.reshape(square, line))
        return parts
