"""Synthesis steps as Keras layers, one per file, grouped in the order of a recipe.

`anatomy` (label maps), `geometry` (transforms), `contrast` (signal), `acquisition` (coils,
noise, k-space, slices), `preprocessing` (what is done before a network sees the image).
"""

from synthtf.layers.acquisition.random_bias_field import RandomBiasField
from synthtf.layers.acquisition.random_blur import RandomBlur
from synthtf.layers.acquisition.random_cleared_slices import RandomClearedSlices
from synthtf.layers.acquisition.random_noise import RandomNoise
from synthtf.layers.acquisition.random_resolution import RandomResolution
from synthtf.layers.anatomy.map_labels import MapLabels
from synthtf.layers.anatomy.one_hot import OneHot
from synthtf.layers.anatomy.random_shapes import RandomShapes
from synthtf.layers.anatomy.signed_distance import SignedDistance
from synthtf.layers.base import RandomLayer, SynthesisLayer
from synthtf.layers.contrast.random_gamma import RandomGamma
from synthtf.layers.contrast.random_intensity import RandomIntensity
from synthtf.layers.geometry.compose_transforms import ComposeTransforms
from synthtf.layers.geometry.integrate_velocity import IntegrateVelocity
from synthtf.layers.geometry.random_affine import RandomAffine
from synthtf.layers.geometry.random_field_of_view import RandomFieldOfView
from synthtf.layers.geometry.random_flip import RandomFlip
from synthtf.layers.geometry.random_warp import RandomWarp
from synthtf.layers.geometry.resample import Resample
from synthtf.layers.geometry.upsample_field import UpsampleField
from synthtf.layers.preprocessing.min_max_normalize import MinMaxNormalize
from synthtf.layers.preprocessing.random_mask import RandomMask

__all__ = [
    "ComposeTransforms",
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
