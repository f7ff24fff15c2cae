"""The network of SynthStrip, for its weights."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from synthtf.networks.parts import LOGITS

Tensor = Any

_SLOPE = 0.2  # of the rectifiers below zero


def pooled_unet(
    encoder: Sequence[Sequence[int]],
    decoder: Sequence[Sequence[int]],
    final: Sequence[int],
    ndim: int = 3,
    name: str = "pooled",
) -> keras.Model:
    """Build a U-Net of leaky rectifiers without normalisation, which upsamples last on each level.

    Going down, each level convolves and pools. Going up, each level convolves, repeats the
    nearest voxel, and appends that to the features from the way down. The final convolutions work
    at the resolution of the image; the last one has no rectifier. The network is there for the
    weights of SynthStrip; to train one, take `unet`.

    Args:
        encoder: Feature maps of each convolution of each level, from the finest.
        decoder: Likewise on the way up, from the coarsest: as many levels as `encoder` has.
        final: Feature maps of the final convolutions; the last number is that of the outputs.
        ndim: Spatial axes, 2 or 3.
        name: Name of the model.

    Returns:
        Model with the input "image", `(batch, *spatial, 1)`, where every spatial size is a
        multiple of two to the power of the number of levels, and the output
        `(batch, *spatial, final[-1])`.

    Raises:
        ValueError: If there is no level or no final convolution, or the numbers of levels differ.

    Reference:
        Hoopes et al., SynthStrip: skull-stripping for any brain image, NeuroImage 2022.
    """
    if not encoder or len(encoder) != len(decoder) or not final:
        raise ValueError(
            "`encoder` and `decoder` must have equal numbers of levels, and `final` a convolution. "
            f"Received: encoder={encoder}, decoder={decoder}, final={final}"
        )
    image = x = layers.Input((None,) * ndim + (1,), dtype="float32", name="image")
    skips = []
    for level, features in enumerate(encoder):
        x = _convolve(x, features, f"encoder_{level}", ndim)
        skips.append(x)
        x = _layer("MaxPooling", ndim)(2, name=f"encoder_{level}_pool")(x)
    for level, features in enumerate(decoder):
        x = _convolve(x, features, f"decoder_{level}", ndim)
        x = _layer("UpSampling", ndim)(2, name=f"decoder_{level}_upsample")(x)
        x = layers.Concatenate(name=f"decoder_{level}_concat")([x, skips.pop()])
    x = _convolve(x, final[:-1], "final", ndim)
    conv = _layer("Conv", ndim)(final[-1], 3, padding="same", dtype="float32", name=LOGITS)
    return keras.Model(image, conv(x), name=name)


def _convolve(x: Tensor, features: Sequence[int], prefix: str, ndim: int) -> Tensor:
    for index, count in enumerate(features):
        x = _layer("Conv", ndim)(count, 3, padding="same", name=f"{prefix}_{index}")(x)
        x = layers.LeakyReLU(_SLOPE, name=f"{prefix}_{index}_rectifier")(x)
    return x


def _layer(kind: str, ndim: int) -> type[layers.Layer]:
    return getattr(layers, f"{kind}{ndim}D")
