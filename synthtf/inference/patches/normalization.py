"""Group normalisation as two layers: statistics of the image, and their use."""

from typing import Any

import keras
from keras import ops

Tensor = Any


class Moments(keras.layers.Layer):
    """Mean and variance of each channel over all voxels.

    Input shape: `(batch, *spatial, channels)`.
    Output shape: `(batch, 2, channels)`, float32.
    """

    def __init__(self) -> None:
        """Name the layer; it has no options."""
        super().__init__(dtype="float32")

    def call(self, x: Tensor) -> Tensor:
        """Return mean and variance."""
        axes = tuple(range(1, len(x.shape) - 1))
        mean = ops.mean(x, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(x - mean), axis=axes)
        return ops.stack([ops.mean(mean, axis=axes), variance], axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of the output."""
        return (input_shape[0], 2, input_shape[-1])


class Standardize(keras.layers.Layer):
    """What a group normalisation does with an image, given its moments.

    Args:
        normalization: A built `keras.layers.GroupNormalization`, whose weights are used.

    Input shape: `(batch, *spatial, channels)`, and `(batch, 2, channels)` from `Moments`.
    Output shape: that of the image.
    """

    def __init__(self, normalization: keras.layers.GroupNormalization) -> None:
        """Keep the layer."""
        super().__init__(dtype="float32")
        self.normalization = normalization

    def call(self, x: Tensor, moments: Tensor) -> Tensor:
        """Return the normalised image."""
        layer = self.normalization
        channels = x.shape[-1]
        groups = channels if layer.groups == -1 else layer.groups
        # Over the channels of a group: the mean of the means, and of the squares.
        of_group = ops.reshape(moments, (-1, 2, groups, channels // groups))
        mean = ops.mean(of_group[:, 0], axis=-1, keepdims=True)
        square = of_group[:, 1] + ops.square(of_group[:, 0] - mean)
        variance = ops.mean(square, axis=-1, keepdims=True)
        mean, variance = (
            ops.reshape(
                ops.repeat(value, channels // groups, axis=-1),
                (-1, *[1] * (len(x.shape) - 2), channels),
            )
            for value in (mean, variance)
        )
        slope = ops.rsqrt(variance + layer.epsilon)
        slope = slope * layer.gamma if layer.scale else slope
        result = (x - mean) * slope
        result = result + layer.beta if layer.center else result
        return ops.cast(result, layer.compute_dtype)

    def compute_output_spec(self, x: Tensor, moments: Tensor) -> keras.KerasTensor:
        """Shape and type of the output."""
        return keras.KerasTensor(x.shape, self.normalization.compute_dtype)
