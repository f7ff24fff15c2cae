"""The U-Net of pytorch-3dunet with group normalisation, for the weights of WMH-SynthSeg."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from synthtf.networks.parts import LOGITS

Tensor = Any

GROUPS = 8
"""Groups of channels that are normalised together; one where there are fewer channels."""

_SLOPE = 0.01  # of the rectifiers below zero
_EPSILON = 1e-5


def grouped_unet(
    encoder: Sequence[Sequence[int]],
    decoder: Sequence[Sequence[int]],
    num_outputs: int,
    ndim: int = 3,
    num_inputs: int = 1,
    name: str = "grouped",
) -> keras.Model:
    """Build a U-Net in which each convolution comes after a group normalisation of its input.

    Each convolution has no bias, and a leaky rectifier after it. Going up, the nearest voxel is
    repeated and appended to the features from the way down. The network is there for the weights
    of WMH-SynthSeg; to train one, take `unet`.

    Args:
        encoder: Feature maps of each convolution of each level, from the finest.
        decoder: Likewise on the way up, from the coarsest: one level fewer.
        num_outputs: Output channels.
        ndim: Spatial axes, 2 or 3.
        num_inputs: Input channels.
        name: Name of the model.

    Returns:
        Model with the input "image", `(batch, *spatial, num_inputs)`, where every spatial size is a
        multiple of two to the power of the levels of `decoder`, and the output
        `(batch, *spatial, num_outputs)`, without activation.

    Raises:
        ValueError: If the numbers of levels do not fit, or channels cannot be grouped.

    Reference:
        Laso et al., Quantifying white matter hyperintensity and brain volumes in heterogeneous
        clinical and low-field portable MRI, ISBI 2024. Wolny et al., Accurate and versatile 3D
        segmentation of plant tissues at cellular resolution, eLife 2020.
    """
    if not encoder or len(decoder) != len(encoder) - 1:
        raise ValueError(
            "`decoder` must have one level fewer than `encoder`, which must have one or more. "
            f"Received: encoder={encoder}, decoder={decoder}"
        )
    image = x = layers.Input((None,) * ndim + (num_inputs,), dtype="float32", name="image")
    skips = []
    for level, features in enumerate(encoder):
        if level:
            x = _layer("MaxPooling", ndim)(2, name=f"encoder_{level}_pool")(x)
        x = _convolve(x, features, f"encoder_{level}", ndim)
        skips.append(x)
    skips.pop()
    for level, features in enumerate(decoder):
        x = _layer("UpSampling", ndim)(2, name=f"decoder_{level}_upsample")(x)
        x = layers.Concatenate(name=f"decoder_{level}_concat")([skips.pop(), x])
        x = _convolve(x, features, f"decoder_{level}", ndim)
    conv = _layer("Conv", ndim)(num_outputs, 1, dtype="float32", name=LOGITS)
    return keras.Model(image, conv(x), name=name)


@keras.saving.register_keras_serializable(package="synthtf")
class GroupNormalization(layers.GroupNormalization):
    """Group normalisation with statistics of higher precision than Keras' own.

    A sum of millions of numbers has five digits in float32 if they are added one after the other.
    Where features differ little from their mean, this shows. Here the axes are gone through one
    by one.

    Input shape: `(batch, *spatial, channels)`.
    Output shape: the same.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Normalise."""
        shape = ops.shape(inputs)
        x = ops.reshape(inputs, (*shape[:-1], self.groups, shape[-1] // self.groups))
        x = x - _mean(x)
        x = x - _mean(x)  # what rounding left
        x = ops.reshape(x * ops.rsqrt(_mean(ops.square(x)) + self.epsilon), shape)
        return x * self.gamma + self.beta


def _mean(x: Tensor) -> Tensor:
    """Mean over all axes but the batch and the groups, which are kept."""
    rank = len(x.shape)
    for axis in (rank - 1, *range(rank - 3, 0, -1)):
        x = ops.mean(x, axis=axis, keepdims=True)
    return x


def group_count(channels: int) -> int | None:
    """Groups that so many channels make; None if they make none.

    Example:
        >>> group_count(3), group_count(16), group_count(12)
        (1, 8, None)
    """
    if channels < GROUPS:
        return 1
    return GROUPS if channels % GROUPS == 0 else None


def _convolve(x: Tensor, features: Sequence[int], prefix: str, ndim: int) -> Tensor:
    for index, count in enumerate(features):
        groups = group_count(x.shape[-1])
        if groups is None:
            raise ValueError(
                f"feature maps must be fewer than {GROUPS} or a multiple of it. "
                f"Received: {x.shape[-1]}"
            )
        norm = GroupNormalization(groups, epsilon=_EPSILON, name=f"{prefix}_norm_{index}")
        conv = _layer("Conv", ndim)(
            count, 3, padding="same", use_bias=False, name=f"{prefix}_conv_{index}"
        )
        x = layers.LeakyReLU(_SLOPE, name=f"{prefix}_rectifier_{index}")(conv(norm(x)))
    return x


def _layer(kind: str, ndim: int) -> type[layers.Layer]:
    return getattr(layers, f"{kind}{ndim}D")
