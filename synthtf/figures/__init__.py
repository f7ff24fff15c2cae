"""Figures of scans, label maps, registrations, learning curves and results, as PNG files.

Volumes are RAS arrays: axis 0 runs from left to right, axis 1 from back to front, axis 2
from bottom to top. All figures use the neurological convention, where the left of the picture
is the left of the head, and name it. matplotlib is imported when a figure is drawn, and its
global state does not change.
"""

from synthtf.figures.charts import dice_table, learning_curve, sweep_curve
from synthtf.figures.drawing import label_colormap
from synthtf.figures.feature_panels import features
from synthtf.figures.registration_panels import registration
from synthtf.figures.volumes import contact_sheet, overlay

__all__ = [
    "contact_sheet",
    "dice_table",
    "features",
    "label_colormap",
    "learning_curve",
    "overlay",
    "registration",
    "sweep_curve",
]
