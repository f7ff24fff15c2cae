"""Affine and rigid registration by feature detection."""

from typing import Any

import keras
from keras import layers, ops

from synthtf.layers.base import SynthesisLayer
from synthtf.networks.parts import AFFINE, DETECTOR, FEATURES
from synthtf.networks.sizes import DetectorConfig
from synthtf.networks.spatial import spatial_layer
from synthtf.networks.unets import unet
from synthtf.ops.affine import fit_affine_both_ways, homogeneous, invert_affine, with_anchors
from synthtf.ops.labels import barycenter
from synthtf.ops.matrices import nearest_rotation

Tensor = Any

_KINDS = ("affine", "rigid")
_CONFIDENCES = ("power", "peak")
# Points that lie further than this from where the fit takes them, as a share of the longest axis,
# count less and less: a structure that is not found where it is must not tilt the head.
_OUTLIER = 0.02
_REWEIGHTINGS = 3


def affine_detector(
    ndim: int = 3,
    kind: str = "affine",
    config: DetectorConfig | None = None,
    name: str = AFFINE,
) -> keras.Model:
    """Build a network that aligns two images by an affine or a rigid transform.

    A U-Net turns each image, by itself, into non-negative feature maps. Each map has a centre of
    mass and a power (or, where maps compete for voxels, a peak); the transform that takes the
    centres of one image to those of the other follows in closed form by least squares, weighted
    with the product of the powers, and again with less weight on outliers. So the network need
    not learn what a rotation is. Swapping the images inverts the transform.

    Args:
        ndim: Spatial axes, 2 or 3.
        kind: "affine", or "rigid" for the rotation and translation alone.
        config: Size of the detector.
        name: Name of the model.

    Returns:
        Model with the inputs "moving" and "fixed", `(batch, *spatial, 1)`, float32 of isotropic
        voxels, where every spatial size is a multiple of `config.multiple`; and the outputs
        "affine", `(batch, ndim + 1, ndim + 1)`, which maps voxels of the fixed image to voxels
        of the moving one, both counted from the centre, and "inverse".

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Hoffmann et al., Anatomy-aware and acquisition-agnostic joint registration with
        SynthMorph, Imaging Neuroscience 2024, where the two directions are averaged
        arithmetically, which is not symmetric, and rigid drops scaling and shear.
    """
    config = config or DetectorConfig()
    if ndim not in (2, 3):
        raise ValueError(f"ndim must be 2 or 3, received {ndim!r}")
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {_KINDS}, received {kind!r}")
    inputs = {
        name: layers.Input((None,) * ndim + (1,), dtype="float32", name=name)
        for name in ("moving", "fixed")
    }
    # One batch of both images: one pass of convolutions is faster than two.
    images = layers.Concatenate(axis=0, name="images")([inputs["moving"], inputs["fixed"]])
    features = layers.Identity(name=FEATURES)(feature_detector(ndim, config)(images))
    confidence = "peak" if config.competes else "power"
    matrix = FitTransform(kind, confidence, name="fit")([features, images])
    outputs = {"affine": matrix, "inverse": ops.linalg.inv(matrix)}
    return keras.Model(inputs, outputs, name=name)


def feature_detector(ndim: int, config: DetectorConfig) -> keras.Model:
    """Build the network from images to non-negative feature maps.

    Args:
        ndim: Spatial axes, 2 or 3.
        config: Its size.

    Returns:
        Model from `(batch, *spatial, 1)` to `(batch, *spatial / config.step, num_features)`,
        float32.
    """
    image = layers.Input((None,) * ndim + (1,), dtype="float32", name="image")
    backbone = config.backbone
    x = image
    if config.halve:
        x = spatial_layer("Conv", ndim)(
            backbone.features,
            backbone.kernel_size,
            strides=2,
            padding="same",
            activation=backbone.activation,
            name="halve",
        )(image)
    if config.competes:
        pairs = [(left + 1, right + 1) for left, right in config.pairs]  # after the background
        options = {"num_inputs": x.shape[-1], "pairs": pairs}
        network = unet(config.num_features + 1, ndim, backbone, **options)
        # The square leaves nothing of the faint posteriors far away, which would draw the centre.
        maps = ops.square(network(x)[..., 1:])
    else:
        options = {"final_activation": None, "num_inputs": x.shape[-1]}
        network = unet(config.num_features, ndim, backbone, **options)
        maps = layers.ReLU(dtype="float32", name=FEATURES)(network(x))
    return keras.Model(image, maps, name=DETECTOR)


@keras.saving.register_keras_serializable(package="synthtf")
class FitTransform(SynthesisLayer):
    """Fit the affine or rigid transform between feature maps of two images.

    Args:
        kind: "affine" or "rigid".
        confidence: what says how much a map counts: its "power", the mean over voxels, as in
            SynthMorph, or its "peak", the largest value, with which small structures that are
            found count as much as large ones.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `[maps, images]`: feature maps `(2 · batch, *coarse, features)`, non-negative,
        those of the moving images first; and the images, used only for their shape.
    Output shape: `(batch, ndim + 1, ndim + 1)`, from fixed to moving voxels about the centre.

    Raises:
        ValueError: if the kind or the confidence is unknown.
    """

    def __init__(self, kind: str = "affine", confidence: str = "power", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if kind not in _KINDS:
            raise ValueError(f"`kind` must be one of {_KINDS}. Received: kind={kind!r}")
        if confidence not in _CONFIDENCES:
            raise ValueError(
                f"`confidence` must be one of {_CONFIDENCES}. Received: confidence={confidence!r}"
            )
        self.kind = kind
        self.confidence = confidence

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Fit in both directions and average."""
        features, images = inputs
        ndim = len(features.shape) - 2
        sizes = ops.cast(ops.stack(ops.shape(images)[1:-1]), "float32")
        # In units of the longest axis, about the centre: isotropic, and well conditioned.
        unit = ops.max(sizes)
        points = barycenter(features) * (sizes / unit)
        reduce = ops.max if self.confidence == "peak" else ops.mean
        found = reduce(features, axis=tuple(range(1, ndim + 1)))
        batch = ops.shape(features)[0] // 2
        weights = found[:batch] * found[batch:]
        weights = weights / ops.maximum(ops.sum(weights, axis=-1, keepdims=True), 1e-12)
        moving, fixed, weights = with_anchors(points[:batch], points[batch:], weights)
        matrix = fit_affine_both_ways(moving, fixed, weights)
        for _ in range(_REWEIGHTINGS):
            distance = _residual(matrix, moving, fixed)
            robust = weights / (1 + ops.square(distance / _OUTLIER))
            matrix = fit_affine_both_ways(moving, fixed, robust)
        weights = robust
        if self.kind == "rigid":
            matrix = _rigid(matrix, moving, fixed, weights)
        scale = ops.concatenate(
            [ops.ones((ndim, ndim), "float32"), ops.full((ndim, 1), unit, "float32")], axis=1
        )
        return homogeneous(matrix[:, :ndim] * scale)

    def output_spec(self, inputs: list[Any]) -> Any:
        """One matrix per pair."""
        features = inputs[0]
        size = len(features.shape) - 1
        batch = None if features.shape[0] is None else features.shape[0] // 2
        return keras.KerasTensor((batch, size, size), "float32")

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "kind": self.kind, "confidence": self.confidence}


def _residual(matrix: Tensor, moving: Tensor, fixed: Tensor) -> Tensor:
    """Distance of points from where the matrix takes their partners, mean of both directions."""
    there = _distance(_transform(matrix, fixed), moving)
    back = _distance(_transform(invert_affine(matrix), moving), fixed)
    return (there + back) / 2


def _transform(matrix: Tensor, points: Tensor) -> Tensor:
    ndim = points.shape[-1]
    linear, shift = matrix[:, :ndim, :ndim], matrix[:, :ndim, ndim]
    return ops.sum(linear[:, None] * points[:, :, None], axis=-1) + shift[:, None]


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(a - b), axis=-1) + 1e-12)


def _rigid(matrix: Tensor, moving: Tensor, fixed: Tensor, weights: Tensor) -> Tensor:
    """Keep the rotation of an affine matrix, with the translation that is then the best."""
    ndim = moving.shape[-1]
    rotation = nearest_rotation(matrix[:, :ndim, :ndim])
    total = ops.sum(weights, axis=1, keepdims=True)
    centre_moving, centre_fixed = (
        ops.sum(points * weights[..., None], axis=1) / total for points in (moving, fixed)
    )
    turned = ops.sum(rotation * centre_fixed[:, None], axis=-1)
    translation = centre_moving - turned
    return homogeneous(ops.concatenate([rotation, translation[..., None]], axis=-1))
