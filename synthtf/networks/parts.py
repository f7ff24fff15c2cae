"""The parts of a network: the one place that knows the names of its layers.

Files of networks hold these names, so they do not change.
"""

from functools import partial
from typing import Any

import keras

Tensor = Any

LOGITS, STRUCTURE_LOGITS = "logits", "structure_logits"
PRIOR_LOGITS, SIDE_LOGIT = "prior_logits", "side_logit"
MIXTURE = "mixture_voxels"
FEATURES, DETECTOR = "features", "detector"
AFFINE, DEFORMABLE = "affine_registration", "registration"


def with_logits(network: keras.Model) -> keras.Model:
    """Give a network of segmentation with both its outputs, sharing its layers.

    Args:
        network: As `unet` builds it.

    Returns:
        Model with the outputs "logits" and "posteriors".

    Raises:
        ValueError: If the network has no logits.

    Example:
    >>> from synthtf.networks import UNetConfig, unet
    >>> sorted(with_logits(unet(3, 2, UNetConfig(4, 2))).output)
    ['logits', 'posteriors']
    """
    layer = _find(network, LOGITS)
    if layer is None:
        raise ValueError(
            f'`network` must have a layer "{LOGITS}" before its posteriors, as those of '
            f"`synthtf.networks.unet` have. Received: network={network.name!r}"
        )
    outputs = {"logits": layer.output, "posteriors": network.output}
    return keras.Model(network.input, outputs, name=network.name)


def has_mixture(network: keras.Model) -> bool:
    """Whether a network adapts to the contrast of each image by a Gaussian mixture."""
    return _find(network, MIXTURE) is not None


def class_weights(network: keras.Model) -> list[keras.Variable]:
    """Give the weights of a network of segmentation whose last axis is that of its classes.

    They are those of the last layer that is trained; with a side channel, of the layer that
    spreads structures over classes.

    Args:
        network: As `unet` builds it.
    """
    mixed = _find(network, PRIOR_LOGITS) is not None and _find(network, SIDE_LOGIT) is None
    return list(network.get_layer(PRIOR_LOGITS if mixed else LOGITS).weights)


def trained_class_layer(network: keras.Model) -> keras.Layer:
    """Give the last layer that is trained of a network of segmentation.

    Its channels are the classes; with a side channel, the structures, which both sides share.
    """
    names = (PRIOR_LOGITS, STRUCTURE_LOGITS, LOGITS)
    return next(layer for layer in map(partial(_find, network), names) if layer is not None)


def has_sides(network: keras.Model) -> bool:
    """Whether a network of segmentation has a side channel."""
    return _find(network, SIDE_LOGIT) is not None


def side_spread(network: keras.Model) -> list[keras.Variable]:
    """Give the weights, never trained, that spread structures and sides over classes."""
    return list(network.get_layer(LOGITS).weights) if has_sides(network) else []


def detector(network: keras.Model) -> keras.Model | None:
    """Give the detector of features of a registration network, None if it has none."""
    return _find(network, DETECTOR)


def has_features(network: keras.Model) -> bool:
    """Whether a registration network compares the feature maps of a detector."""
    return _find(network, FEATURES) is not None


def has_competing_features(network: keras.Model) -> bool:
    """Whether the feature maps of a detector say how likely a structure is."""
    return any(getattr(layer, "confidence", None) == "peak" for layer in network.layers)


def with_features(network: keras.Model) -> keras.Model:
    """Give a registration network that also shows the maps of its detector, sharing its layers.

    Args:
        network: As `affine_detector` or `registration_unet` builds it.

    Returns:
        Model with the further output "features", of all moving images, then of all fixed ones.

    Raises:
        ValueError: If the network has no detector.
    """
    layer = _find(network, FEATURES)
    if layer is None:
        raise ValueError(
            f"`network` must have a detector of features. Received: network={network.name!r}"
        )
    outputs = {**network.output, "features": layer.output}
    return keras.Model(network.input, outputs, name=network.name)


def joined_networks(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Give the affine and the deformable network that `joint_registration` joined."""
    return network.get_layer(AFFINE), network.get_layer(DEFORMABLE)


def _find(network: keras.Model, name: str) -> keras.Layer | None:
    return next((layer for layer in network.layers if layer.name == name), None)
