"""Random convolutions."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, Proportion
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.ops.noise import normalize
from synthtf.ranges import WholeRange


@keras.saving.register_keras_serializable(package="synthtf")
class RandomConvolution(RandomLayer):
    """Convolve each image with a random kernel: other textures and contrast, the same shapes.

    `(1 - w) x + w y` with `y = k * x`, whose kernel `k` has independent normal entries.
    Each channel of `y` is normalised to the smallest and largest value of that channel of `x`,
    so that neither the size of the kernel nor its sign changes the range of intensities. All
    channels of `x` enter each channel of `y`. Beyond the border lie zeros.

    Args:
        radius: `(low, high)`, of the kernel, which has `2 radius + 1` entries along each axis;
            drawn per sample.
        weight: `(low, high)`, w, in [0, 1]; drawn per sample.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds.

    Example:
    >>> import numpy as np
    >>> image = np.arange(6, dtype="float32").reshape(1, 6, 1, 1)
    >>> out = RandomConvolution(radius=1, weight=1)(image)
    >>> float(np.min(out)), float(np.max(out))
    (0.0, 5.0)

    Reference: Xu et al., Robust and generalizable visual representation learning via random
        convolutions, ICLR 2021. There, the variance of the entries keeps that of the image; here
        its range is kept.
    """

    def __init__(
        self,
        radius: Annotated[WholeRange, Limits(0, 7, "voxels")] = (0, 3),
        weight: Proportion = (0, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(radius=radius, weight=weight, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "radius", "weight" and "kernel" `(batch, *size, channels, channels)`."""
        size = (2 * self.radius[1] + 1,) * (len(shape) - 2)
        return {
            "radius": random.integers(random.fold_in(key, "radius"), (), *self.radius),
            "weight": self.uniform(key, "weight", self.weight),
            "kernel": random.normal(random.fold_in(key, "kernel"), (*size, shape[-1], shape[-1])),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Convolve, bring back the range and mix."""
        image = as_image(inputs)
        axes = tuple(range(1, len(image.shape) - 1))
        kernel = draws["kernel"]
        for axis in axes:
            line = [1] * len(kernel.shape)
            line[axis] = kernel.shape[axis]
            entry = ops.reshape(ops.arange(kernel.shape[axis], dtype="int32"), line)
            inside = ops.abs(entry - self.radius[1]) <= expand(draws["radius"], kernel)
            kernel = ops.where(inside, kernel, 0.0)
        # One sample at a time, since each has its kernel.
        other = ops.map(
            lambda pair: ops.conv(
                pair[0][None], pair[1], padding="same", data_format="channels_last"
            )[0],
            (image, kernel),
        )
        low, high = (f(image, axis=axes, keepdims=True) for f in (ops.min, ops.max))
        other = low + (high - low) * normalize(other)
        weight = expand(draws["weight"], image)
        return (1.0 - weight) * image + weight * other
