"""Published weights and the formats of other packages. The modules load when they are used."""

from synthtf.lazy import loader

_MODULES = {
    "load_published": "published",
    "load_synthmorph_deformable": "synthmorph",
    "load_synthmorph_detector": "synthmorph",
    "load_synthseg": "synthseg",
    "load_synthseg_parts": "synthseg",
    "load_synthseg_weights": "synthseg",
    "load_synthsr": "synthsr",
    "load_synthstrip": "synthstrip",
    "load_voxelmorph": "voxelmorph",
    "load_voxelmorph_torch": "voxelmorph_torch",
    "load_wmh_synthseg": "wmh_synthseg",
    "read_transform": "transform_files",
    "write_transform": "transform_files",
}

__all__ = sorted(_MODULES)
__getattr__ = loader(__name__, _MODULES)
