"""Synthesis steps as Keras layers, one per file."""

from synthtf.layers.base import RandomLayer, SynthesisLayer
from synthtf.layers.compose_transforms import ComposeTransforms
from synthtf.layers.hyper_conv import HyperConv
from synthtf.layers.integrate_velocity import IntegrateVelocity
from synthtf.layers.map_labels import MapLabels
from synthtf.layers.min_max_normalize import MinMaxNormalize
from synthtf.layers.one_hot import OneHot
from synthtf.layers.random_affine import RandomAffine
from synthtf.layers.random_bias_field import RandomBiasField
from synthtf.layers.random_blur import RandomBlur
from synthtf.layers.random_cleared_slices import RandomClearedSlices
from synthtf.layers.random_field_of_view import RandomFieldOfView
from synthtf.layers.random_flip import RandomFlip
from synthtf.layers.random_gamma import RandomGamma
from synthtf.layers.random_intensity import RandomIntensity
from synthtf.layers.random_mask import RandomMask
from synthtf.layers.random_noise import RandomNoise
from synthtf.layers.random_resolution import RandomResolution
from synthtf.layers.random_shapes import RandomShapes
from synthtf.layers.random_warp import RandomWarp
from synthtf.layers.resample import Resample
from synthtf.layers.signed_distance import SignedDistance
from synthtf.layers.upsample_field import UpsampleField

__all__ = [
    "ComposeTransforms",
    "HyperConv",
    "IntegrateVelocity",
    "MapLabels",
    "MinMaxNormalize",
    "OneHot",
    "RandomAffine",
    "RandomBiasField",
    "RandomBlur",
    "RandomClearedSlices",
    "RandomFieldOfView",
    "RandomFlip",
    "RandomGamma",
    "RandomIntensity",
    "RandomLayer",
    "RandomMask",
    "RandomNoise",
    "RandomResolution",
    "RandomShapes",
    "RandomWarp",
    "Resample",
    "SignedDistance",
    "SynthesisLayer",
    "UpsampleField",
]
