"""Random receive coils."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.linear import matrix_product
from synthtf.ranges import Range, WholeRange

# Narrower coils leave voxels without any signal.
_NARROWEST = 0.05


@keras.saving.register_keras_serializable(package="synthtf")
class RandomCoils(RandomLayer):
    """Multiply each image by the sensitivity of several receive coils.

    Each coil around the head receives mostly from its surroundings. Combined by the root sum of
    squares,

        image · √(Σ_c |S_c|²) / max,  S_c(x) = exp(-|x - p_c|² / 2w²),

    the border of the head is brighter than its centre, most of all near a coil. Positions
    are relative to the size of the field of view, so that the array follows its shape. The
    centre `p_c` lies in a random direction, uniform over the sphere, at a distance drawn
    per coil; each coil is scaled to a maximum of one within the field of view.

    Args:
        num_coils: `(low, high)`, whole numbers, number of coils; drawn per sample.
        width: `(low, high)`, standard deviation of a coil's profile, as a proportion of
            the field of view, at least 0.05; drawn per coil.
        distance: `(low, high)`, distance of the coils from the centre, as a multiple of half the
            field of view; 1 is its border.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float. Channels share the sensitivity.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds, or a number of coils is not whole.

    Example:
    >>> import numpy as np
    >>> image = RandomCoils(num_coils=8)(np.ones((1, 16, 16, 1), "float32"))
    >>> float(np.max(image))
    1.0

    Reference: Roemer et al., The NMR phased array, MRM 1990. Gaussian profiles, for the
        field of a loop: they are products over the axes, so that no coil needs a volume.
    """

    def __init__(
        self,
        num_coils: Annotated[WholeRange, Limits(1, 64)] = (4, 16),
        width: Annotated[Range, Limits(_NARROWEST)] = (0.3, 0.7),
        distance: Annotated[Range, Limits(0)] = (1.0, 1.4),
        **kwargs: Any,
    ) -> None:
        super().__init__(num_coils=num_coils, width=width, distance=distance, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "num_coils", and for the largest number of coils their "width" and "position".

        The position from the centre, `(batch, coils, ndim)`, is a share of the field of view.
        """
        ndim, most = len(shape) - 2, self.num_coils[1]
        direction = random.normal(random.fold_in(key, "direction"), (most, ndim))
        length = ops.sqrt(ops.sum(ops.square(direction), axis=-1, keepdims=True))
        distance = self.uniform(key, "distance", self.distance, (most, 1))
        return {
            "num_coils": random.integers(random.fold_in(key, "num_coils"), (), *self.num_coils),
            "width": self.uniform(key, "width", self.width, (most,)),
            "position": 0.5 * distance * direction / ops.maximum(length, 1e-7),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Multiply by the root sum of squares."""
        image = as_image(inputs)
        shape = tuple(image.shape[1:-1])
        coil = ops.arange(draws["position"].shape[1], dtype="int32")[None]
        present = ops.cast(coil < draws["num_coils"][:, None], "float32")[..., None]
        first, *others = self._profiles(shape, draws)
        plane = ops.ones_like(present)
        for profile in others:
            plane = plane[..., None] * profile[:, :, None]
            plane = ops.reshape(plane, (-1, *coil.shape[1:], plane.shape[2] * plane.shape[3]))
        power = matrix_product(ops.transpose(first * present, (0, 2, 1)), plane)
        power = power / ops.max(power, axis=(1, 2), keepdims=True)
        return image * ops.reshape(ops.sqrt(power), (-1, *shape, 1))

    def _profiles(self, shape: tuple[int, ...], draws: dict[str, Tensor]) -> list[Tensor]:
        """Squared sensitivity along each axis, `(batch, coils, size)`."""
        profiles = []
        for d, size in enumerate(shape):
            x = (ops.arange(size, dtype="float32") - (size - 1) / 2) / size
            square = ops.square(x - draws["position"][..., d : d + 1])
            # From the voxel nearest to the coil on: a far coil would vanish otherwise.
            square = square - ops.min(square, axis=-1, keepdims=True)
            square = square / ops.square(draws["width"])[..., None]
            profiles.append(in_whole_vectors(ops.exp, -square))
        return profiles
