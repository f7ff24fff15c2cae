"""Label maps of 1, 5 and 18 heads."""

from dataclasses import replace

from studies.figures import draw_means
from studies.trainings import FULL

TRAININGS = {"synthetic": FULL} | {f"heads {heads}": replace(FULL, heads=heads) for heads in (5, 1)}
AXIS, draw = "contrast", draw_means
