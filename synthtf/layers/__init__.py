"""Synthesis steps as Keras layers, one per file, grouped in the order of a recipe.

`anatomy` (label maps), `geometry` (transforms), `contrast` (signal), `acquisition` (coils,
noise, k-space, slices), `preprocessing` (steps between the scan and the network), `targets` (what
the network shall return besides labels).
"""

from synthtf.layers.acquisition.average_down import AverageDown
from synthtf.layers.acquisition.random_bias_field import RandomBiasField
from synthtf.layers.acquisition.random_blur import RandomBlur
from synthtf.layers.acquisition.random_chemical_shift import RandomChemicalShift
from synthtf.layers.acquisition.random_cleared_slices import RandomClearedSlices
from synthtf.layers.acquisition.random_coils import RandomCoils
from synthtf.layers.acquisition.random_cupping import RandomCupping
from synthtf.layers.acquisition.random_distortion import RandomDistortion
from synthtf.layers.acquisition.random_ghosting import RandomGhosting
from synthtf.layers.acquisition.random_motion import RandomMotion
from synthtf.layers.acquisition.random_noise import RandomNoise
from synthtf.layers.acquisition.random_partial_fourier import RandomPartialFourier
from synthtf.layers.acquisition.random_resolution import RandomResolution
from synthtf.layers.acquisition.random_slice_intensity import RandomSliceIntensity
from synthtf.layers.acquisition.random_slice_motion import RandomSliceMotion
from synthtf.layers.acquisition.random_slices import RandomSlices
from synthtf.layers.acquisition.random_spikes import RandomSpikes
from synthtf.layers.acquisition.random_streaks import RandomStreaks
from synthtf.layers.acquisition.random_truncation import RandomTruncation
from synthtf.layers.acquisition.random_undersampling import RandomUndersampling
from synthtf.layers.acquisition.random_zipper import RandomZipper
from synthtf.layers.anatomy.map_labels import MapLabels
from synthtf.layers.anatomy.one_hot import OneHot
from synthtf.layers.anatomy.random_atrophy import RandomAtrophy
from synthtf.layers.anatomy.random_cord import RandomCord
from synthtf.layers.anatomy.random_erosion import RandomErosion
from synthtf.layers.anatomy.random_lesions import RandomLesions
from synthtf.layers.anatomy.random_shapes import RandomShapes
from synthtf.layers.anatomy.random_spheres import RandomSpheres
from synthtf.layers.anatomy.random_structures import RandomStructures
from synthtf.layers.anatomy.random_subdivision import RandomSubdivision
from synthtf.layers.anatomy.random_vessels import RandomVessels
from synthtf.layers.anatomy.signed_distance import SignedDistance
from synthtf.layers.anatomy.star_distances import StarDistances
from synthtf.layers.base import RandomLayer, SynthesisLayer
from synthtf.layers.contrast.random_convolution import RandomConvolution
from synthtf.layers.contrast.random_gamma import RandomGamma
from synthtf.layers.contrast.random_intensity import RandomIntensity
from synthtf.layers.contrast.random_mix import RandomMix
from synthtf.layers.contrast.random_remapping import RandomRemapping
from synthtf.layers.contrast.random_texture import RandomTexture
from synthtf.layers.contrast.random_tissue_maps import RandomTissueMaps
from synthtf.layers.contrast.random_transmit_field import RandomTransmitField
from synthtf.layers.contrast.show_scan import ShowScan
from synthtf.layers.contrast.signal_model import SignalModel
from synthtf.layers.geometry.align_pairs import AlignPairs
from synthtf.layers.geometry.compose_transforms import ComposeTransforms
from synthtf.layers.geometry.integrate_velocity import IntegrateVelocity
from synthtf.layers.geometry.random_affine import RandomAffine
from synthtf.layers.geometry.random_field_of_view import RandomFieldOfView
from synthtf.layers.geometry.random_flip import RandomFlip
from synthtf.layers.geometry.random_warp import RandomWarp
from synthtf.layers.geometry.resample import Resample
from synthtf.layers.geometry.upsample_field import UpsampleField
from synthtf.layers.preprocessing.min_max_normalize import MinMaxNormalize
from synthtf.layers.preprocessing.random_clip import RandomClip
from synthtf.layers.preprocessing.random_deface import RandomDeface
from synthtf.layers.preprocessing.random_holes import RandomHoles
from synthtf.layers.preprocessing.random_inversion import RandomInversion
from synthtf.layers.preprocessing.random_mask import RandomMask
from synthtf.layers.preprocessing.random_padding import RandomPadding
from synthtf.layers.preprocessing.random_patch_swap import RandomPatchSwap
from synthtf.layers.preprocessing.random_quantization import RandomQuantization
from synthtf.layers.preprocessing.random_window import RandomWindow
from synthtf.layers.targets.keep_distance import KeepDistance
from synthtf.layers.targets.keep_draw import KeepDraw
from synthtf.layers.targets.keep_gain import KeepGain
from synthtf.layers.targets.keep_image import KeepImage
from synthtf.layers.targets.keep_scan import KeepScan
from synthtf.layers.targets.render_contrast import RenderContrast

__all__ = [
    "AlignPairs",
    "AverageDown",
    "ComposeTransforms",
    "IntegrateVelocity",
    "KeepDistance",
    "KeepDraw",
    "KeepGain",
    "KeepImage",
    "KeepScan",
    "MapLabels",
    "MinMaxNormalize",
    "OneHot",
    "RandomAffine",
    "RandomAtrophy",
    "RandomBiasField",
    "RandomBlur",
    "RandomChemicalShift",
    "RandomClearedSlices",
    "RandomClip",
    "RandomCoils",
    "RandomConvolution",
    "RandomCord",
    "RandomCupping",
    "RandomDeface",
    "RandomDistortion",
    "RandomErosion",
    "RandomFieldOfView",
    "RandomFlip",
    "RandomGamma",
    "RandomGhosting",
    "RandomHoles",
    "RandomIntensity",
    "RandomInversion",
    "RandomLayer",
    "RandomLesions",
    "RandomMask",
    "RandomMix",
    "RandomMotion",
    "RandomNoise",
    "RandomPadding",
    "RandomPartialFourier",
    "RandomPatchSwap",
    "RandomQuantization",
    "RandomRemapping",
    "RandomResolution",
    "RandomShapes",
    "RandomSliceIntensity",
    "RandomSliceMotion",
    "RandomSlices",
    "RandomSpheres",
    "RandomSpikes",
    "RandomStreaks",
    "RandomStructures",
    "RandomSubdivision",
    "RandomTexture",
    "RandomTissueMaps",
    "RandomTransmitField",
    "RandomTruncation",
    "RandomUndersampling",
    "RandomVessels",
    "RandomWarp",
    "RandomWindow",
    "RandomZipper",
    "RenderContrast",
    "Resample",
    "ShowScan",
    "SignalModel",
    "SignedDistance",
    "StarDistances",
    "SynthesisLayer",
    "UpsampleField",
]
