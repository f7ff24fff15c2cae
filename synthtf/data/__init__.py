"""Volumes, label tables and the data set of label maps.

`LabelMaps` loads Keras when it is first used; everything else needs only NumPy and nibabel.
"""

import importlib

from synthtf.data.geometry import (
    bounding_box_centre,
    conform_labels,
    crop_or_pad,
    orientation,
    reorient,
    resample_nearest,
)
from synthtf.data.label_table import LabelTable, count_labels
from synthtf.data.paths import EXTENSIONS, expand_inputs, output_in, pair_outputs, stem
from synthtf.data.transforms import Affine, Chain, Displacement, Transform, compose
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_geometry, read_volume

__all__ = [
    "EXTENSIONS",
    "Affine",
    "Chain",
    "Displacement",
    "LabelMaps",
    "LabelTable",
    "Transform",
    "Volume",
    "bounding_box_centre",
    "compose",
    "conform_labels",
    "count_labels",
    "crop_or_pad",
    "expand_inputs",
    "orientation",
    "output_in",
    "pair_outputs",
    "read_geometry",
    "read_volume",
    "reorient",
    "resample_nearest",
    "stem",
    "write_volume",
]


def __getattr__(name: str) -> object:
    if name == "LabelMaps":
        return importlib.import_module("synthtf.data.label_maps").LabelMaps
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
