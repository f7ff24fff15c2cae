"""Published weights and the formats of other packages.

Reading transforms needs no Keras; the functions for weights load it when they are first used.
"""

import importlib

from synthtf.interop.transform_files import read_transform, write_transform

__all__ = [
    "load_published",
    "load_synthseg",
    "load_synthseg_parts",
    "load_synthseg_weights",
    "load_synthsr",
    "load_synthstrip",
    "load_voxelmorph",
    "load_voxelmorph_torch",
    "load_wmh_synthseg",
    "read_transform",
    "write_transform",
]

_WEIGHTS = {
    "load_published": "published",
    "load_synthseg": "synthseg",
    "load_synthseg_parts": "synthseg",
    "load_synthseg_weights": "synthseg",
    "load_synthsr": "synthsr",
    "load_synthstrip": "synthstrip",
    "load_voxelmorph": "voxelmorph",
    "load_voxelmorph_torch": "voxelmorph_torch",
    "load_wmh_synthseg": "wmh_synthseg",
}


def __getattr__(name: str) -> object:
    if name in _WEIGHTS:
        return getattr(importlib.import_module(f"synthtf.interop.{_WEIGHTS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
