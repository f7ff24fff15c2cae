"""Volumes, label tables and the data set of label maps.

`LabelMaps` loads Keras when it is first used; everything else needs only NumPy and nibabel.
"""

from synthtf.lazy import loader

_MODULES = {
    "EXTENSIONS": "paths",
    "Affine": "transforms",
    "Chain": "transforms",
    "Displacement": "transforms",
    "LabelMaps": "label_maps",
    "LabelTable": "label_table",
    "LabelledScan": "scan_truths",
    "Mixed": "mixed_maps",
    "Transform": "transforms",
    "Volume": "volumes",
    "bounding_box_centre": "geometry",
    "compose": "transforms",
    "conform_labels": "geometry",
    "count_labels": "label_table",
    "crop_or_pad": "geometry",
    "expand_inputs": "paths",
    "labelled_scans": "scan_truths",
    "orientation": "geometry",
    "output_in": "paths",
    "pair_outputs": "paths",
    "read_geometry": "volumes",
    "read_volume": "volumes",
    "reorient": "geometry",
    "resample_nearest": "geometry",
    "stem": "paths",
    "write_volume": "volume_writer",
}

__all__ = sorted(_MODULES)
__getattr__ = loader(__name__, _MODULES)
