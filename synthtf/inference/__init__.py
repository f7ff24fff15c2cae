"""Using trained networks on real scans: conform, predict, restore.

The modules load when their names are first used.
"""

import importlib

_MODULES = {
    "Cleaning": "components",
    "ConformedGrid": "conform",
    "EmptyMaskWarning": "stripping",
    "EmptySegmentationWarning": "segmenting",
    "MemoryBudget": "patches.memory",
    "Registration": "registration.registering",
    "Segmentation": "segmenting",
    "Stripping": "stripping",
    "apply_to_points": "applying",
    "apply_transform": "applying",
    "normalize_intensity": "normalize",
    "register": "registration.registering",
    "segment": "segmenting",
    "strip": "stripping",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
