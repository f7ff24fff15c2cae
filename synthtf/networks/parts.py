"""The parts of a network: the one place that knows the names of its layers.

Files of networks hold these names, so they do not change.
"""

from functools import partial
from typing import Any

import keras

from synthtf.networks.spatial import spatial_layer

Tensor = Any

LOGITS, STRUCTURE_LOGITS = "logits", "structure_logits"
PRIOR_LOGITS, SIDE_LOGIT = "prior_logits", "side_logit"
POSTERIORS, LABEL_LOGITS = "posteriors", "label_logits"
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


def with_label_head(network: keras.Model, num_labels: int) -> keras.Model:
    """Give a network that returns images a second head, which labels voxels by the same features.

    Args:
        network: As `unet` builds it without a final activation, maybe with a residual.
        num_labels: Classes.

    Returns:
        Model whose output has the posteriors of the classes as channels behind those of the images.

    Example:
    >>> from synthtf.networks import UNetConfig, unet
    >>> network = unet(2, 2, UNetConfig(4, 2), final_activation=None)
    >>> with_label_head(network, 3).output.shape
    (None, None, None, 5)
    """
    features = network.get_layer(LOGITS).input
    ndim = len(features.shape) - 2
    conv = spatial_layer("Conv", ndim)(num_labels, 1, dtype="float32", name=LABEL_LOGITS)
    softmax = keras.layers.Activation("softmax", dtype="float32", name=POSTERIORS)
    join = keras.layers.Concatenate(dtype="float32", name="images_and_posteriors")
    outputs = join([network.output, softmax(conv(features))])
    return keras.Model(network.input, outputs, name=network.name)


def label_network(network: keras.Model) -> keras.Model:
    """Give the part of a network from `with_label_head` that labels voxels, sharing its layers.

    Raises:
        ValueError: If the network has no such head.
    """
    layer = _find(network, POSTERIORS)
    if layer is None:
        raise ValueError(
            f"`network` must have a head that labels voxels. Received: network={network.name!r}"
        )
    return keras.Model(network.input, layer.output, name=network.name)


def split_at_features(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Give a network up to the features that all its outputs share, and what comes then.

    Args:
        network: As `unet` builds it without a final activation, maybe with a residual and a second
            head.

    Returns:
        Model from images to features, and model from `[features, images]` to the outputs, sharing
        the layers of the network.

    Raises:
        ValueError: If the network has no layer of this name.
    """
    layer = _find(network, LOGITS)
    if layer is None:
        raise ValueError(
            f'`network` must have a layer "{LOGITS}" behind the features that its outputs share, '
            f"as those of `synthtf.networks.unet` have. Received: network={network.name!r}"
        )
    trunk = keras.Model(network.input, layer.input, name=f"{network.name}_trunk")
    head = keras.Model([layer.input, network.input], network.output, name=f"{network.name}_head")
    return trunk, head


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


def trunk_weights(network: keras.Model) -> list[keras.Variable]:
    """Give the weights of a network up to the features that its outputs share.

    They do not depend on what is made of the features: classes, images, or an embedding.

    Args:
        network: As `unet` builds it, with any last layers.

    Returns:
        The weights; empty if it has no such features.
    """
    names = (PRIOR_LOGITS, STRUCTURE_LOGITS, LOGITS)
    last = next((layer for layer in map(partial(_find, network), names) if layer is not None), None)
    return [] if last is None else keras.Model(network.input, last.input).weights


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
