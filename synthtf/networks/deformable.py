"""The deformable registration network of VoxelMorph, SynthMorph and EasyReg."""

from typing import Any

import keras
from keras import layers, ops

from synthtf.layers.geometry.integrate_velocity import IntegrateVelocity
from synthtf.layers.geometry.upsample_field import UpsampleField
from synthtf.networks.detectors import feature_detector
from synthtf.networks.hyper_conv import HyperConv
from synthtf.networks.parts import DEFORMABLE, FEATURES
from synthtf.networks.sizes import DetectorConfig, RegistrationConfig
from synthtf.networks.spatial import spatial_layer

Tensor = Any

# Of the velocity's convolution: the first displacements are next to nothing.
_VELOCITY_STD = 1e-5
_HYPER_LAYERS = 4


def registration_unet(
    ndim: int = 3, config: RegistrationConfig | None = None, name: str = DEFORMABLE
) -> keras.Model:
    """Build a network that finds the deformation between two images.

    A U-Net f of leaky rectifiers, max pooling, nearest upsampling and skip connections gives a
    stationary velocity field at half the resolution; scaling and squaring integrates it. With
    `symmetric`, the velocity is `(f(moving, fixed) - f(fixed, moving)) / 2`, as in EasyReg, else
    `f(moving, fixed)`, as in VoxelMorph. With `hyper_units`, a few dense layers turn the input
    "regularization" into the kernels of all convolutions of f, per sample, as in SynthMorph:
    one network then serves smooth and detailed deformations.

    With `detector`, f compares feature maps of the images, of half their resolution, which the
    same network finds in each. What the contrast of an image is need then not be learned anew
    for each pair of contrasts, and f works on an eighth of the voxels.

    Loading the model's .keras file needs this package; its SavedModel does not.

    Args:
        ndim: Spatial axes, 2 or 3.
        config: Size and style; symmetric, with VoxelMorph's sizes, if None.
        name: Name of the model.

    Returns:
        Model with a dictionary of inputs, "moving" and "fixed", `(batch, *spatial, 1)`, float32
        in [0, 1], where every spatial size is a multiple of `config.multiple`, and, with
        `hyper_units`, "regularization", `(batch, 1)`, in [0, 1]. Its dictionary of outputs holds,
        in float32, "velocity", `(batch, *spatial / 2, ndim)`, in voxels of that grid;
        "displacement", `(batch, *spatial, ndim)`, in voxels, with
        `moved(x) = moving(x + displacement(x))`; and "inverse", that of the negated velocity,
        which moves the fixed image onto the moving one.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Balakrishnan et al., VoxelMorph: a learning framework for deformable medical image
        registration, IEEE TMI 2019. Iglesias, A ready-to-use machine learning tool for symmetric
        multi-modality registration of brain MRI, Scientific Reports 2023 (EasyReg). Hoffmann et
        al., Anatomy-aware and acquisition-agnostic joint registration with SynthMorph, Imaging
        Neuroscience 2024.
    """
    config = config or RegistrationConfig()
    if ndim not in (2, 3):
        raise ValueError(f"ndim must be 2 or 3, received {ndim!r}")
    inputs = {
        key: layers.Input((None,) * ndim + (1,), dtype="float32", name=key)
        for key in ("moving", "fixed")
    }
    moving, fixed = inputs.values()
    hyper = None
    if config.hyper_units:
        hyper = inputs["regularization"] = layers.Input(
            (1,), dtype="float32", name="regularization"
        )
        for index in range(_HYPER_LAYERS):
            hyper = layers.Dense(
                config.hyper_units,
                activation="relu",
                kernel_initializer="he_normal",
                name=f"hyper_{index}",
            )(hyper)
    if config.detector is not None:
        moving, fixed = _features(moving, fixed, ndim, config.detector)
    pair = layers.Concatenate(name="pair")([moving, fixed])
    if config.symmetric:
        # Both orders are a batch, so that each sample goes through the network twice.
        swapped = layers.Concatenate(name="swapped_pair")([fixed, moving])
        pair = ops.concatenate([pair, swapped], axis=0)
        hyper = hyper if hyper is None else ops.concatenate([hyper, hyper], axis=0)
    velocity = _velocity(pair, hyper, ndim, config)
    if config.symmetric:
        forward, backward = ops.split(velocity, 2, axis=0)
        velocity = (forward - backward) * 0.5
    outputs = {
        "velocity": velocity,
        "displacement": _displacement(velocity, "displacement", config),
        "inverse": _displacement(-velocity, "inverse", config),
    }
    return keras.Model(inputs, outputs, name=name)


def _features(moving: Tensor, fixed: Tensor, ndim: int, config: DetectorConfig) -> list[Tensor]:
    """Feature maps of both images, each with the image itself, at half the resolution."""
    images = layers.Concatenate(axis=0, name="images")([moving, fixed])
    maps = layers.Identity(name=FEATURES)(feature_detector(ndim, config)(images))
    # The detector's maps are of any size; each counts the same here.
    maps = layers.GroupNormalization(-1, center=False, scale=False, name="features_norm")(maps)
    if not config.halve:
        maps = spatial_layer("AveragePooling", ndim)(2, name="coarse_features")(maps)
    coarse = spatial_layer("AveragePooling", ndim)(2, name="coarse_images")(images)
    return ops.split(layers.Concatenate(name="features_and_images")([maps, coarse]), 2, axis=0)


def _velocity(x: Tensor, hyper: Tensor | None, ndim: int, config: RegistrationConfig) -> Tensor:
    """Apply the U-Net to a pair of images, or of their features, `(batch, *any, channels)`."""
    levels = len(config.encoder)
    # Features are at the resolution of the velocity already.
    to_the_top = config.full_resolution or config.detector is not None
    skips = []
    for index, features in enumerate(config.encoder):
        x = _convolve(x, hyper, f"encoder_{index}", features, ndim, config)
        skips.append(x)
        x = spatial_layer("MaxPooling", ndim)(2, name=f"encoder_{index}_pool")(x)
    for index, features in enumerate(config.decoder[:levels]):
        x = _convolve(x, hyper, f"decoder_{index}", features, ndim, config)
        if to_the_top or index < levels - 1:
            x = spatial_layer("UpSampling", ndim)(2, name=f"decoder_{index}_upsample")(x)
            x = layers.Concatenate(name=f"decoder_{index}_concat")([x, skips.pop()])
    for index, features in enumerate(config.decoder[levels:]):
        x = _convolve(x, hyper, f"final_{index}", features, ndim, config)
    # Half precision would round displacements of ten voxels to a hundredth.
    if hyper is None:
        x = spatial_layer("Conv", ndim)(
            ndim,
            3,
            padding="same",
            kernel_initializer=keras.initializers.RandomNormal(0.0, _VELOCITY_STD),
            dtype="float32",
            name="velocity_conv",
        )(x)
    else:
        conv = HyperConv(ndim, kernel_std=_VELOCITY_STD, dtype="float32", name="velocity_conv")
        x = conv([x, hyper])
    if config.full_resolution:
        x = UpsampleField(0.5, name="velocity_downsample")(x)
    return x


def _convolve(
    x: Tensor, hyper: Tensor | None, name: str, features: int, ndim: int, config: RegistrationConfig
) -> Tensor:
    if hyper is None:
        conv = spatial_layer("Conv", ndim)
        x = conv(features, 3, padding="same", kernel_initializer="he_normal", name=name)(x)
    else:
        x = HyperConv(features, name=name)([x, hyper])
    return layers.LeakyReLU(config.negative_slope, name=f"{name}_activation")(x)


def _displacement(velocity: Tensor, name: str, config: RegistrationConfig) -> Tensor:
    field = IntegrateVelocity(config.integration_steps, name=f"{name}_integrate")(velocity)
    return UpsampleField(2, name=f"{name}_upsample")(field)
