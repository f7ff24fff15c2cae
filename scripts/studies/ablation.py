"""The recipe without one of its steps, and with one that it has not, on heads that are changed."""

from dataclasses import replace

from studies.figures import draw_differences
from studies.trainings import FULL, RECIPE

from synthtf.layers import RandomResolution
from synthtf.synthesis import Recipe

TRAININGS = {"synthetic": FULL} | {
    f"no {name}": replace(FULL, recipe=RECIPE.without(name))
    for name in RECIPE.names
    if name != "intensity"
}
# Voxels of 4 mm become as coarse as ones of up to 10 mm.
TRAININGS["and resolution"] = replace(FULL, recipe=Recipe([*RECIPE, RandomResolution((4, 10))]))
AXIS, draw = "condition", draw_differences
