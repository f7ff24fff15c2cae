"""Muon and Adam, step by step."""

from dataclasses import replace

import keras
from studies.figures import draw_steps
from studies.trainings import FULL

TRAININGS = {
    "synthetic": FULL,
    "Adam": replace(FULL, optimizer=keras.optimizers.Adam),
    "Adam, rate 0.001": replace(FULL, optimizer=keras.optimizers.Adam, learning_rate=1e-3),
}
AXIS, draw = "contrast", draw_steps
