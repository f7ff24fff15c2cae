"""Names of VoxelMorph, neurite and SynthSeg, with their arguments, so that old scripts run."""

from synthtf.compat.neurite import labels_to_image, labels_to_image_new
from synthtf.compat.registration import VxmDense
from synthtf.compat.synthseg import BrainGenerator
from synthtf.compat.transforms import (
    AffineToDenseShift,
    ComposeTransform,
    ParamsToAffineMatrix,
    RescaleTransform,
    SpatialTransformer,
    VecInt,
)

__all__ = [
    "AffineToDenseShift",
    "BrainGenerator",
    "ComposeTransform",
    "ParamsToAffineMatrix",
    "RescaleTransform",
    "SpatialTransformer",
    "VecInt",
    "VxmDense",
    "labels_to_image",
    "labels_to_image_new",
]
