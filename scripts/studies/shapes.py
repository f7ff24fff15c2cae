"""Registration that is learned from 18, 5 and 1 heads, and from random shapes."""

from dataclasses import replace

from studies.figures import draw_means
from studies.trainings import Training

from synthtf.synthesis import Recipe

HEADS = Training(registers=True, recipe=Recipe.preset("synthmorph-brains"))
TRAININGS = {
    "registration 18": HEADS,
    "registration 5": replace(HEADS, heads=5),
    "registration 1": replace(HEADS, heads=1),
    "registration shapes": replace(HEADS, shapes=1, recipe=Recipe.preset("synthmorph-shapes")),
}
AXIS, draw = "contrast", draw_means
