"""Losses, for any number of spatial axes, computed in float32.

The classes are `keras.losses.Loss`es, for `compile` and for the task models. Each sample has its
own loss, which does not depend on the other samples of the batch. For the cross-entropy alone,
use `keras.losses.CategoricalCrossentropy` on `(batch, *spatial, classes)`.
"""

from synthtf.losses.centre_lines import DiceCentreLine
from synthtf.losses.contrast import contrastive_loss, similarities
from synthtf.losses.distance import border_distance_loss
from synthtf.losses.images import local_ncc, mutual_information
from synthtf.losses.registration import bending_energy, dice_loss, gradient_loss, landmark_loss
from synthtf.losses.segmentation import DiceCrossEntropy, LogitsL2, SoftDice

__all__ = [
    "DiceCentreLine",
    "DiceCrossEntropy",
    "LogitsL2",
    "SoftDice",
    "bending_energy",
    "border_distance_loss",
    "contrastive_loss",
    "dice_loss",
    "gradient_loss",
    "landmark_loss",
    "local_ncc",
    "mutual_information",
    "similarities",
]
