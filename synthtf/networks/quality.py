"""The network by which SynthSeg judges its segmentations."""

import functools
from collections.abc import Sequence

import keras
from keras import layers

from synthtf.networks.spatial import spatial_layer

_EPSILON = 1e-3  # what legacy Keras used


def quality_encoder(
    num_inputs: int,
    num_outputs: int,
    features: Sequence[int] = (24, 48, 96, 192),
    kernel_size: int = 5,
    name: str = "quality",
    ndim: int = 3,
) -> keras.Model:
    """Build a network that predicts the Dice of groups of labels from a segmentation alone.

    Each level adds two convolutions to its input, which a third convolution brings to as many
    features where these differ, activates, normalises and pools. Two more convolutions end in a
    map for each group; the prediction is the mean of the map.

    Args:
        num_inputs: groups of labels, the background included.
        num_outputs: predictions.
        features: feature maps of each level.
        kernel_size: voxels per axis of each convolution kernel.
        name: name of the model.
        ndim: spatial axes, 2 or 3.

    Returns:
        Model with the input "groups", `(batch, *spatial, num_inputs)`, one-hot, and the output
        `(batch, num_outputs)`, at least 0.

    Raises:
        ValueError: if there is no level.

    Reference:
        Billot et al., Robust machine learning segmentation for large-scale analysis of
        heterogeneous clinical brain MRI datasets, PNAS 2023.
    """
    if not features:
        raise ValueError(f"`features` must have an entry for each level. Received: {features}")
    groups = layers.Input((*(None,) * ndim, num_inputs), dtype="float32", name="groups")
    convolve = functools.partial(_convolve, ndim)
    x = groups
    for level, count in enumerate(features):
        prefix, start = f"down_{level}", x
        x = convolve(count, kernel_size, f"{prefix}_conv_0")(x)
        x = convolve(count, kernel_size, f"{prefix}_conv_1", activation=None)(x)
        if start.shape[-1] not in (1, count) and count > 1:
            start = convolve(count, kernel_size, f"{prefix}_shortcut")(start)
        x = layers.Add(name=f"{prefix}_add")([start, x])
        x = layers.Activation("relu", name=f"{prefix}_relu")(x)
        x = layers.BatchNormalization(epsilon=_EPSILON, name=f"{prefix}_norm")(x)
        x = spatial_layer("MaxPooling", ndim)(2, padding="same", name=f"{prefix}_pool")(x)
    x = convolve(num_outputs, kernel_size, "final_conv_0")(x)
    x = convolve(num_outputs, kernel_size, "final_conv_1")(x)
    score = spatial_layer("GlobalAveragePooling", ndim)(name="score")
    return keras.Model(groups, score(x), name=name)


def _convolve(
    ndim: int, count: int, kernel_size: int, name: str, activation: str | None = "relu"
) -> layers.Layer:
    conv = spatial_layer("Conv", ndim)
    return conv(count, kernel_size, padding="same", activation=activation, name=name)
