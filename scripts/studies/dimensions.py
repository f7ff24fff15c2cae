"""Time to accuracy: slices of 4 mm, and whole heads of 3 and 2 mm."""

from studies.figures import draw_times
from studies.heads import Grid
from studies.tables import times_to
from studies.trainings import FULL, Training

COARSE, FINE = Grid(3.0, (64, 64, 56), whole=True), Grid(2.0, (96, 96, 80), whole=True)
TRAININGS = {
    "2D 4 mm": FULL,
    "3D 3 mm": Training(grid=COARSE, batch_size=1),
    "3D 2 mm": Training(grid=FINE, batch_size=1),
}
AXIS, draw = "contrast", draw_times


def tell(rows):
    """Say how long it takes to be how good."""
    return times_to(rows, (0.4, 0.5, 0.6, 0.7))
