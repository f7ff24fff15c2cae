"""The U-Net of neurite and SynthSeg, of standard Keras layers only."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from synthtf.networks.parts import LOGITS, MIXTURE, PRIOR_LOGITS, SIDE_LOGIT, STRUCTURE_LOGITS
from synthtf.networks.sizes import UNetConfig
from synthtf.networks.spatial import spatial_layer

Tensor = Any

_FINAL_ACTIVATIONS = ("softmax", "sigmoid", None)
# Per-sample statistics need no moving averages, so epsilon only has to rule out 0 / 0.
_INSTANCE_EPSILON = 1e-5
# What legacy Keras used, and hence what published weights were trained with.
_BATCH_EPSILON = 1e-3
_BATCH_MOMENTUM = 0.99
# Least variance of a class, of channels whose variance over the image is one: a structure of
# a few voxels must not turn into a spike of the likelihood.
_MIXTURE_VARIANCE = 0.01
# Steps of expectation maximisation. Means and variances come from every other voxel of each
# axis, at an eighth of the cost.
_MIXTURE_STEPS = 4


def unet(
    num_outputs: int,
    ndim: int = 3,
    config: UNetConfig | None = None,
    final_activation: str | None = "softmax",
    name: str = "unet",
    num_inputs: int = 1,
    pairs: Sequence[tuple[int, int]] = (),
) -> keras.Model:
    """Build a U-Net whose .keras file loads without this package.

    Each level convolves, activates, normalises and pools; the way up repeats the nearest voxel,
    appends it to the features of the level on the way down, taken before their normalisation,
    convolves, activates and normalises. A convolution with a kernel of one voxel gives the
    logits. Logits and posteriors are float32 under mixed precision, too.

    With `mixture_channels`, these logits are only the log of a prior: where each class tends to
    lie. Channels that mix the image with the first level's features then play the part of
    intensities, as in atlas-based segmentation by a Gaussian mixture: expectation maximisation
    from the prior finds the mean and variance of each class in this very image, and the
    log-likelihood of the class is added to the logits. A plain U-Net has to discover by itself
    that what is white matter in one place tells what is white matter elsewhere, and spends its
    first thousands of steps without.

    With `side_channel` and pairs, the two classes of a pair share all the above, and one more
    channel s tells the sides apart everywhere: p(left structure) = p(structure) sigmoid(s). What
    a structure looks like is then learned once, not once for each side.

    With `fine_features`, all levels work at half the resolution of the image. A thin level above
    them hands its features down by pooling, and combines those that come up with its own: all
    levels but this one cost what they cost at half the resolution. The logits see what comes up
    from the first level, too.

    Args:
        num_outputs: Output channels, the classes for "softmax".
        ndim: Spatial axes, 2 or 3.
        config: Size and style; SynthSeg's size with instance normalisation if None.
        final_activation: "softmax", "sigmoid", or None for a regression.
        name: Name of the model.
        num_inputs: Input channels.
        pairs: Left and right output channel of each structure that has both, for
            `side_channel`.

    Returns:
        Model with the input "image", `(batch, *spatial, num_inputs)`, float32, where every
        spatial size is a multiple of `config.multiple`, and an output
        `(batch, *spatial, num_outputs)`: that of the layer "posteriors", or, if
        `final_activation` is None, of the layer "logits".

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Billot et al., SynthSeg: segmentation of brain MRI scans of any contrast and resolution
        without retraining, Medical Image Analysis 2023. Ronneberger et al., U-Net, MICCAI 2015.
        Van Leemput et al., Automated model-based tissue classification of MR images of the
        brain, IEEE TMI 1999, for the mixture with a spatial prior.
    """
    config = config or UNetConfig()
    if isinstance(num_outputs, bool) or not isinstance(num_outputs, int) or num_outputs < 1:
        raise ValueError(f"num_outputs must be an integer of at least 1, received {num_outputs!r}")
    if ndim not in (2, 3):
        raise ValueError(f"ndim must be 2 or 3, received {ndim!r}")
    if final_activation not in _FINAL_ACTIVATIONS:
        raise ValueError(
            f"final_activation must be one of {_FINAL_ACTIVATIONS}, received {final_activation!r}"
        )
    _check_activation(config.activation)
    if config.mixture_channels and final_activation != "softmax":
        raise ValueError("mixture_channels needs final_activation='softmax': classes that compete")
    if pairs and final_activation != "softmax":
        raise ValueError("pairs need final_activation='softmax': classes that compete")
    sides = _sides(num_outputs, pairs) if pairs and config.side_channel else None
    image = layers.Input((None,) * ndim + (num_inputs,), dtype="float32", name="image")
    fine = _fine_convolve(image, "fine_down", ndim, config) if config.fine_features else None
    features = _encode(image if fine is None else _shrink(fine, ndim, config), ndim, config)
    x = _decode(features, ndim, config)
    if fine is not None:
        x = _refine(x, fine, ndim, config)
    # Without float32, logits have three digits, and a distance of 100 mm a step of 0.5 mm.
    conv = functools.partial(spatial_layer("Conv", ndim), kernel_size=1, dtype="float32")
    name_1 = STRUCTURE_LOGITS if sides is not None else LOGITS
    name_0 = PRIOR_LOGITS if config.mixture_channels else name_1
    output = conv(num_outputs if sides is None else len(sides) - 2, name=name_0)(x)
    if config.mixture_channels:
        first = features[0] if fine is None else fine
        channels = _mixture_channels(image, first, ndim, config)
        likelihood = _log_likelihood(channels, output, ndim)
        output = layers.Add(dtype="float32", name=name_1)([output, likelihood])
    if sides is not None:
        sides = keras.initializers.Constant(sides.tolist())
        spread = conv(
            num_outputs, kernel_initializer=sides, use_bias=False, trainable=False, name=LOGITS
        )
        output = spread(_append_sides(output, conv(1, name=SIDE_LOGIT)(x)))
    if final_activation:
        activation = layers.Activation(final_activation, dtype="float32", name="posteriors")
        output = activation(output)
    return keras.Model(image, output, name=name)


def _check_activation(activation: str) -> None:
    try:
        keras.activations.get(activation)
    except (ValueError, TypeError) as error:
        raise ValueError(
            "`activation` must name a Keras activation such as 'elu', 'relu' or 'leaky_relu'. "
            f"Received: activation={activation!r}"
        ) from error


def network_multiple(network: keras.Model) -> int:
    """Return the number that every spatial size of a network's input must be a multiple of.

    Args:
        network: Model of poolings by two, such as `unet` builds, or loaded from a file.

    Returns:
        Two to the power of the number of poolings.
    """
    pools = (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)
    return 2 ** sum(isinstance(layer, pools) for layer in network.layers)


def _encode(x: Tensor, ndim: int, config: UNetConfig) -> list[Tensor]:
    """Return the features of each level before normalisation, but of the last one after it."""
    features = []
    for level in range(config.levels):
        x = _convolve(x, f"down_{level}", level, ndim, config)
        features.append(x)
        x = _normalize(x, f"down_{level}_norm", config)
        if level < config.levels - 1:
            x = spatial_layer("MaxPooling", ndim)(2, name=f"down_{level}_pool")(x)
    return [*features[:-1], x]


def _decode(features: list[Tensor], ndim: int, config: UNetConfig) -> Tensor:
    *skips, x = features
    for level in reversed(range(config.levels - 1)):
        x = spatial_layer("UpSampling", ndim)(2, name=f"up_{level}_upsample")(x)
        if level >= config.without_skips:
            x = layers.Concatenate(name=f"up_{level}_concat")([skips[level], x])
        x = _convolve(x, f"up_{level}", level, ndim, config)
        x = _normalize(x, f"up_{level}_norm", config)
    return x


def _fine_convolve(x: Tensor, prefix: str, ndim: int, config: UNetConfig) -> Tensor:
    conv = functools.partial(
        spatial_layer("Conv", ndim), padding="same", activation=config.activation
    )
    return conv(config.fine_features, config.kernel_size, name=f"{prefix}_conv")(x)


def _shrink(fine: Tensor, ndim: int, config: UNetConfig) -> Tensor:
    x = _normalize(fine, "fine_down_norm", config)
    return spatial_layer("MaxPooling", ndim)(2, name="fine_down_pool")(x)


def _refine(x: Tensor, fine: Tensor, ndim: int, config: UNetConfig) -> Tensor:
    x = spatial_layer("UpSampling", ndim)(2, name="fine_up_upsample")(x)
    both = layers.Concatenate(name="fine_up_concat")([fine, x])
    both = _fine_convolve(both, "fine_up", ndim, config)
    return layers.Concatenate(name="fine_concat")([_normalize(both, "fine_up_norm", config), x])


def _sides(num_outputs: int, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Matrix from the logits of structures, of left and of right to those of the classes.

    Raises:
        ValueError: If the pairs are no pairs of different channels.
    """
    paired = [channel for pair in pairs for channel in pair]
    distinct = set(paired) & set(range(num_outputs))
    if len(distinct) != 2 * len(pairs):
        raise ValueError(
            f"expected pairs of different channels of {num_outputs}, received {pairs!r}"
        )
    partner = {right: left for left, right in pairs}
    structures = [channel for channel in range(num_outputs) if channel not in partner]
    matrix = np.zeros((len(structures) + 2, num_outputs), "float32")
    for channel in range(num_outputs):
        matrix[structures.index(partner.get(channel, channel)), channel] = 1
    for pair in pairs:
        matrix[[-2, -1], pair] = 1
    return matrix


def _append_sides(structures: Tensor, side: Tensor) -> Tensor:
    """Append log p(left) and log p(right)."""
    other = layers.Rescaling(-1.0, dtype="float32", name="other_side_logit")(side)
    sides = layers.Concatenate(dtype="float32", name="side_logits")([side, other])
    sides = layers.Activation("log_sigmoid", dtype="float32", name="log_sides")(sides)
    return layers.Concatenate(dtype="float32", name="structures_and_sides")([structures, sides])


def _mixture_channels(image: Tensor, features: Tensor, ndim: int, config: UNetConfig) -> Tensor:
    """Mix the image and the first features into channels of mean 0 and variance 1."""
    x = layers.Concatenate(dtype="float32", name="mixture_concat")([image, features])
    x = spatial_layer("Conv", ndim)(
        config.mixture_channels, 1, dtype="float32", name="mixture_conv"
    )(x)
    norm = layers.GroupNormalization(
        -1,
        epsilon=_INSTANCE_EPSILON,
        center=False,
        scale=False,
        dtype="float32",
        name="mixture_norm",
    )
    return norm(x)


def _log_likelihood(channels: Tensor, prior_logits: Tensor, ndim: int) -> Tensor:
    """Log-likelihood of the channels under each class, up to a constant.

    The mean and the diagonal covariance of a class come from expectation maximisation, which
    starts with the prior in place of the posterior.
    """
    powers = ops.concatenate([channels, ops.square(channels)], axis=-1)
    sparse = spatial_layer("AveragePooling", ndim)(1, strides=2, dtype="float32", name=MIXTURE)
    sparse_powers, sparse_logits = sparse(powers), sparse(prior_logits)
    posterior = ops.softmax(sparse_logits, axis=-1)
    for _ in range(_MIXTURE_STEPS - 1):
        likelihood = _evaluate(sparse_powers, *_maximize(sparse_powers, posterior, ndim), ndim)
        posterior = ops.softmax(sparse_logits + likelihood, axis=-1)
    return _evaluate(powers, *_maximize(sparse_powers, posterior, ndim), ndim)


def _maximize(powers: Tensor, posterior: Tensor, ndim: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of each class and channel, `(batch, classes, channels)`."""
    space = "xyz"[:ndim]
    weight = ops.sum(posterior, axis=tuple(range(1, ndim + 1)))
    moments = ops.einsum(f"b{space}k,b{space}c->bkc", posterior, powers)
    # The small numbers decide for a class that has no voxel at all: mean 0, least variance.
    moments = moments / ops.expand_dims(weight + 1e-3, -1)
    mean, square = ops.split(moments, 2, axis=-1)
    return mean, ops.maximum(square - ops.square(mean), 0.0) + _MIXTURE_VARIANCE


def _evaluate(powers: Tensor, mean: Tensor, variance: Tensor, ndim: int) -> Tensor:
    """-(c - mean)² / (2 variance) - log(variance) / 2 as a linear map of c and c²."""
    space = "xyz"[:ndim]
    linear = ops.concatenate([mean / variance, -0.5 / variance], axis=-1)
    constant = -0.5 * ops.sum(ops.square(mean) / variance + ops.log(variance), axis=-1)
    constant = ops.reshape(constant, (-1, *[1] * ndim, mean.shape[-2]))
    return ops.einsum(f"b{space}c,bkc->b{space}k", powers, linear) + constant


def _convolve(x: Tensor, prefix: str, level: int, ndim: int, config: UNetConfig) -> Tensor:
    for index in range(config.convolutions):
        x = spatial_layer("Conv", ndim)(
            config.level_features(level),
            config.kernel_size,
            padding="same",
            activation=config.activation,
            name=f"{prefix}_conv_{index}",
        )(x)
    return x


def _normalize(x: Tensor, name: str, config: UNetConfig) -> Tensor:
    if config.normalization == "instance":
        return layers.GroupNormalization(-1, epsilon=_INSTANCE_EPSILON, name=name)(x)
    if config.normalization == "batch":
        layer = layers.BatchNormalization(
            momentum=_BATCH_MOMENTUM, epsilon=_BATCH_EPSILON, name=name
        )
        return layer(x)
    return x
