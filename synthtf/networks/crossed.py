"""A U-Net that segments an image by the example of others."""

from typing import Any

import keras
from keras import layers, ops

from synthtf.networks.parts import LOGITS, POSTERIORS
from synthtf.networks.spatial import spatial_layer

Tensor = Any

_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="synthtf")
class FoldContext(layers.Layer):
    """Make the images of a context rows of a batch.

    Input shape: `(batch, images, *spatial, channels)`.
    Output shape: `(batch · images, *spatial, channels)`.
    """

    def call(self, context: Tensor) -> Tensor:
        """Reshape."""
        return ops.reshape(context, (-1, *ops.shape(context)[2:]))

    def compute_output_spec(self, context: Any) -> Any:
        """As many rows as images."""
        batch, images, *rest = context.shape
        rows = None if None in (batch, images) else batch * images
        return keras.KerasTensor((rows, *rest), self.compute_dtype)


@keras.saving.register_keras_serializable(package="synthtf")
class CrossBlock(layers.Layer):
    """Let features of an image and those of each image of its context act on each other.

    A convolution sees the features u of the image beside those v of one image of the context, by
    themselves for each. A second one gives the new features of that image, and a third one, of the
    mean over the context, those of the image. The order and number of the images do not matter.

    Args:
        features: feature maps of each convolution.
        kernel_size: voxels per axis of the kernels.
        ndim: spatial axes.
        activation: name of a Keras activation.
        ends: give the new features of the image alone.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: u, `(batch, *spatial, channels)`, and v, `(batch · images, *spatial, channels)`.
    Output shape: both with `features` channels, or the first alone.

    Reference: Butoi et al., UniverSeg: universal medical image segmentation, ICCV 2023.
    """

    def __init__(
        self,
        features: int,
        kernel_size: int = 3,
        ndim: int = 2,
        activation: str = "leaky_relu",
        ends: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.features, self.kernel_size, self.ndim = features, kernel_size, ndim
        self.activation, self.ends = activation, ends
        self.activate = keras.activations.get(activation)
        conv = spatial_layer("Conv", ndim)
        common = {"filters": features, "kernel_size": kernel_size, "padding": "same"}
        # A convolution of u beside v is the sum of one of u and one of v: that of u is done once.
        self.of_image = conv(**common, name="of_image")
        self.of_context = conv(**common, use_bias=False, name="of_context")
        self.to_image = conv(**common, name="to_image")
        self.to_context = None if ends else conv(**common, name="to_context")

    def build(self, input_shape: Any) -> None:
        """Build the convolutions."""
        image, context = input_shape
        between = (*context[:-1], self.features)
        self.of_image.build(image)
        self.of_context.build(context)
        self.to_image.build(between)
        if self.to_context is not None:
            self.to_context.build(between)

    def call(self, inputs: list[Tensor]) -> Any:
        """Compare, then go on with both."""
        image, context = inputs
        own, others = self.of_image(image), self.of_context(context)
        shape = ops.shape(own)
        pairs = ops.reshape(others, (shape[0], -1, *shape[1:]))
        pairs = self.activate(ops.expand_dims(own, 1) + pairs)
        image = self.activate(self.to_image(ops.mean(pairs, axis=1)))
        if self.to_context is None:
            return image
        return image, self.activate(self.to_context(ops.reshape(pairs, (-1, *shape[1:]))))

    def compute_output_spec(self, inputs: list[Any]) -> Any:
        """The shapes of the inputs with other channels."""
        found = [
            keras.KerasTensor((*x.shape[:-1], self.features), self.compute_dtype) for x in inputs
        ]
        return found[0] if self.ends else tuple(found)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        names = ("features", "kernel_size", "ndim", "activation", "ends")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def cross_unet(
    features: int = 16,
    levels: int = 4,
    ndim: int = 2,
    kernel_size: int = 3,
    activation: str = "leaky_relu",
    name: str = "cross_unet",
) -> keras.Model:
    """Build a U-Net of cross blocks, which segments an image by the example of a context.

    It differs from UniverSeg in the normalisation of each feature map of each image behind a block.

    Args:
        features: Feature maps of all levels.
        levels: Resolution levels; each but the first halves the resolution.
        ndim: Spatial axes, 2 or 3.
        kernel_size: Voxels per axis of each kernel.
        activation: Name of a Keras activation.
        name: Name of the model.

    Returns:
        Model with the inputs "image", `(batch, *spatial, 1)`, and "context", `(batch, images,
        *spatial, 2)`: images, and the foreground in them as 1. Its output are the posteriors of
        background and foreground, `(batch, *spatial, 2)`. There may be any number of images. Every
        spatial size is a multiple of two to the power of `levels - 1`.

    Raises:
        ValueError: If `ndim` is neither 2 nor 3.

    Reference:
        Butoi et al., UniverSeg: universal medical image segmentation, ICCV 2023. Czolbe and Dalca,
        Neuralizer: general neuroimage analysis without re-training, CVPR 2023.
    """
    if ndim not in (2, 3):
        raise ValueError(f"ndim must be 2 or 3, received {ndim!r}")
    size = (None,) * ndim
    image = layers.Input((*size, 1), dtype="float32", name="image")
    context = layers.Input((None, *size, 2), dtype="float32", name="context")
    both, skips = (image, FoldContext(name="fold_context")(context)), []

    def cross(both: tuple[Tensor, Tensor], prefix: str, ends: bool = False) -> Any:
        block = CrossBlock(features, kernel_size, ndim, activation, ends, name=prefix)
        found = block(list(both))
        parts = {"image": found} if ends else dict(zip(("image", "context"), found, strict=True))
        normalized = [
            layers.GroupNormalization(-1, epsilon=_EPSILON, name=f"{prefix}_{part}_norm")(x)
            for part, x in parts.items()
        ]
        return normalized[0] if ends else tuple(normalized)

    for level in range(levels):
        both = cross(both, f"down_{level}", ends=levels == 1)
        if level < levels - 1:
            skips.append(both)
            pool = spatial_layer("MaxPooling", ndim)(2, name=f"down_{level}_pool")
            both = tuple(pool(x) for x in both)
    for level in reversed(range(levels - 1)):
        upsample = spatial_layer("UpSampling", ndim)(2, name=f"up_{level}_upsample")
        concat = layers.Concatenate(name=f"up_{level}_concat")
        both = tuple(concat([s, upsample(x)]) for s, x in zip(skips.pop(), both, strict=True))
        both = cross(both, f"up_{level}", ends=level == 0)
    logits = spatial_layer("Conv", ndim)(2, 1, dtype="float32", name=LOGITS)(both)
    posteriors = layers.Activation("softmax", dtype="float32", name=POSTERIORS)(logits)
    return keras.Model({"image": image, "context": context}, posteriors, name=name)
