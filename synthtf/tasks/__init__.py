"""Task models: synthesis, task network and objective in one Keras model."""

from synthtf.tasks.combined import CombinedModel
from synthtf.tasks.registration import RegistrationModel, registration
from synthtf.tasks.run import Run
from synthtf.tasks.segmentation import SegmentationModel, segmentation
from synthtf.tasks.skull_stripping import StrippingModel, skull_stripping
from synthtf.tasks.training import Schedule, train

__all__ = [
    "CombinedModel",
    "RegistrationModel",
    "Run",
    "Schedule",
    "SegmentationModel",
    "StrippingModel",
    "registration",
    "segmentation",
    "skull_stripping",
    "train",
]
