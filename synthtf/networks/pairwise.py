"""The registration network of VoxelMorph's PyTorch package, for its weights."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from synthtf.layers.base import SynthesisLayer, as_image
from synthtf.layers.geometry.integrate_velocity import IntegrateVelocity
from synthtf.layers.geometry.upsample_field import upsampling_matrix
from synthtf.networks.spatial import spatial_layer
from synthtf.ops.linear import apply_along_axes

Tensor = Any


def pairwise_unet(
    encoder: Sequence[int],
    decoder: Sequence[int],
    ndim: int = 3,
    integration_steps: int = 5,
    name: str = "pairwise",
) -> keras.Model:
    """Build the network of VoxelMorph's `VxmPairwise` with its default settings.

    Unlike `registration_unet` it upsamples linearly, and works at full resolution throughout:
    a U-Net of one rectified convolution per level, a kernel of one voxel, and a convolution that
    gives the velocity. It is there for weights of that package; to train a network, take
    `registration_unet`.

    Args:
        encoder: Feature maps of each convolution on the way down.
        decoder: Those of the convolution at the lowest resolution and of each on the way up.
        ndim: Spatial axes, 2 or 3.
        integration_steps: Squarings that turn the velocity into a displacement.
        name: Name of the model.

    Returns:
        Model with the inputs "moving" and "fixed" and the outputs "velocity", "displacement" and
        "inverse" of `registration_unet`, but that the velocity, too, has the grid of the images.
        Every spatial size must be a multiple of two to the power of the number of levels.

    Raises:
        ValueError: If `decoder` does not have one entry more than `encoder`, or `ndim` is
            neither 2 nor 3.
    """
    if ndim not in (2, 3):
        raise ValueError(f"ndim must be 2 or 3, received {ndim!r}")
    if not encoder or len(decoder) != len(encoder) + 1:
        raise ValueError(
            "decoder must have one entry more than encoder, which must have one or more, received "
            f"encoder={tuple(encoder)} and decoder={tuple(decoder)}"
        )
    inputs = {
        key: layers.Input((None,) * ndim + (1,), dtype="float32", name=key)
        for key in ("moving", "fixed")
    }
    x = layers.Concatenate(name="pair")(list(inputs.values()))
    skips = []
    for index, features in enumerate(encoder):
        x = _convolve(x, f"encoder_{index}", features, ndim)
        skips.append(x)
        x = spatial_layer("MaxPooling", ndim)(2, name=f"encoder_{index}_pool")(x)
    x = _convolve(x, "lowest", decoder[0], ndim)
    for index, features in enumerate(decoder[1:]):
        x = UpsampleLinear(name=f"decoder_{index}_upsample")(x)
        x = layers.Concatenate(name=f"decoder_{index}_concat")([x, skips.pop()])
        x = _convolve(x, f"decoder_{index}", features, ndim)
    x = spatial_layer("Conv", ndim)(ndim, 1, dtype="float32", name="output_conv")(x)
    conv = spatial_layer("Conv", ndim)(
        ndim, 3, padding="same", dtype="float32", name="velocity_conv"
    )
    velocity = conv(x)
    outputs = {
        "velocity": velocity,
        "displacement": IntegrateVelocity(integration_steps, name="displacement")(velocity),
        "inverse": IntegrateVelocity(integration_steps, name="inverse")(-velocity),
    }
    return keras.Model(inputs, outputs, name=name)


def _convolve(x: Tensor, name: str, features: int, ndim: int) -> Tensor:
    conv = spatial_layer("Conv", ndim)
    return conv(features, 3, padding="same", activation="relu", name=name)(x)


@keras.saving.register_keras_serializable(package="synthtf")
class UpsampleLinear(SynthesisLayer):
    """Upsample features by two, linearly, corner voxels on corner voxels.

    Input shape: `(batch, *spatial, channels)`.
    Output shape: `(batch, *(2 * spatial), channels)`, float32.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Interpolate along each axis."""
        sizes = ops.shape(inputs)[1:-1]
        return apply_along_axes(as_image(inputs), [upsampling_matrix(n, 2 * n) for n in sizes])

    def output_spec(self, inputs: Any) -> Any:
        """Twice as many voxels along each axis; unknown sizes stay unknown."""
        batch, *sizes, channels = inputs.shape
        sizes = [None if n is None else 2 * n for n in sizes]
        return keras.KerasTensor((batch, *sizes, channels), "float32")
