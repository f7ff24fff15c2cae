"""The networks of SynthMorph's published weights: a detector, and a U-Net for pairs of images."""

from collections.abc import Sequence

import keras
from keras import layers

from synthtf.networks.deformable import registration_unet
from synthtf.networks.sizes import RegistrationConfig

_SLOPE = 0.2  # of the rectifiers below zero


def pooling_detector(
    pooled: Sequence[int], features: Sequence[int], outputs: int, name: str = "detector"
) -> keras.Model:
    """Build SynthMorph's detector of features in an image.

    To train one, take `affine_detector`, whose detector is a U-Net.

    Args:
        pooled: Feature maps of the first convolutions, each before a pooling step.
        features: Feature maps of the convolutions after them.
        outputs: Feature maps of the last convolution, which are not negative.
        name: Name of the model.

    Returns:
        Model with the input "image", `(batch, x, y, z, 1)`, where every size is a multiple of two
        to the power of the number of pooling steps.
    """
    image = x = layers.Input((None, None, None, 1), dtype="float32", name="image")
    for index, count in enumerate((*pooled, *features)):
        x = layers.Conv3D(count, 3, padding="same", name=f"conv_{index}")(x)
        x = layers.LeakyReLU(_SLOPE, name=f"conv_{index}_activation")(x)
        if index < len(pooled):
            x = layers.MaxPooling3D(2, name=f"conv_{index}_pool")(x)
    last = layers.Conv3D(outputs, 3, padding="same", activation="relu", name="features")
    return keras.Model(image, last(x), name=name)


def velocity_unet(encoder: Sequence[int], decoder: Sequence[int], name: str) -> keras.Model:
    """Build the U-Net of `registration_unet` alone: from a pair of images to a velocity.

    Args:
        encoder: Feature maps of each convolution on the way down.
        decoder: Feature maps of those on the way up, one per level, and of those after them.
        name: Name of the model.

    Returns:
        Model with an input `(batch, x, y, z, 2)`, where every size is a multiple of two to the
        power of the number of levels. Its output is the velocity in voxels, `(batch, x, y, z, 3)`.
    """
    config = RegistrationConfig(
        encoder=tuple(encoder),
        decoder=tuple(decoder),
        symmetric=False,
        full_resolution=True,
        negative_slope=_SLOPE,
    )
    whole = registration_unet(3, config)
    pair, velocity = (whole.get_layer(part).output for part in ("pair", "velocity_conv"))
    return keras.Model(pair, velocity, name=name)
