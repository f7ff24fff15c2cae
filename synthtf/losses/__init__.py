"""Losses, for any number of spatial axes, computed in float32.

Classes are `keras.losses.Loss`es, for `compile` and for the task models; each sample has its own
loss, which changing another sample of the batch leaves alone. For the cross-entropy alone,
`keras.losses.CategoricalCrossentropy` serves, on `(batch, *spatial, classes)`.
"""

from synthtf.losses.distance import border_distance_loss
from synthtf.losses.images import local_ncc, mutual_information
from synthtf.losses.registration import bending_energy, dice_loss, gradient_loss, landmark_loss
from synthtf.losses.segmentation import DiceCrossEntropy, LogitsL2, SoftDice

__all__ = [
    "DiceCrossEntropy",
    "LogitsL2",
    "SoftDice",
    "bending_energy",
    "border_distance_loss",
    "dice_loss",
    "gradient_loss",
    "landmark_loss",
    "local_ncc",
    "mutual_information",
]
