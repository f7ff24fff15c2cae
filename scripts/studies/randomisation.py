"""Renderings of T1, in four ways, against synthetic images alone, on five contrasts."""

from dataclasses import replace

from studies.figures import draw_means
from studies.trainings import FULL, RECIPE, Training

from synthtf.layers import ShowScan
from synthtf.synthesis import Recipe

AUGMENTED = Training(real=1, recipe=RECIPE.with_scans())
TRAININGS = {
    "T1": replace(AUGMENTED, recipe=Recipe([ShowScan()])),
    "T1 augmented": AUGMENTED,
    "T1 remapped": replace(AUGMENTED, recipe=RECIPE.with_scans(remapping=0.8)),
    "T1 and synthetic": Training(real=0.3, recipe=RECIPE.with_scans(synthetic=True)),
    "synthetic": FULL,
}
AXIS, draw = "contrast", draw_means
