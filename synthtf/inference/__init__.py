"""Using trained networks on real scans: conform, predict, restore.

The modules load when their names are first used.
"""

import importlib

_MODULES = {
    "CautionWarning": "caution",
    "Change": "changes",
    "Cleaning": "components",
    "CohortOptions": "cohorts.cohort",
    "ConformedGrid": "conform",
    "Correction": "imaging",
    "Cortex": "surfaces.reconstructing",
    "EmptyMaskWarning": "stripping",
    "EmptySegmentationWarning": "segmenting",
    "Invariance": "invariance",
    "Judgement": "judging",
    "MemoryBudget": "patches.memory",
    "Processing": "cohorts.bids_app",
    "Registration": "registration.result",
    "RegistrationOutputs": "cohorts.registering",
    "ScanPairs": "cohorts.pairing",
    "Segmentation": "segmenting",
    "Stripping": "stripping",
    "apply_to_files": "cohorts.applying",
    "apply_to_points": "applying",
    "apply_transform": "applying",
    "change_cohort": "cohorts.changes",
    "co_registered": "invariance",
    "compare_features": "invariance",
    "correct": "imaging",
    "correct_cohort": "cohorts.imaging",
    "describe_run": "describing",
    "export_model": "exporting",
    "extract_features": "features",
    "features_cohort": "cohorts.features",
    "in_context_cohort": "cohorts.by_example",
    "find_instances": "instances",
    "instances_cohort": "cohorts.instances",
    "find_change": "changes",
    "inpaint": "inpainting",
    "inpaint_cohort": "cohorts.inpainting",
    "judge_cohort": "cohorts.judging",
    "judge_image": "judging",
    "find_surfaces": "surfaces.reconstructing",
    "label_surfaces": "surfaces.reconstructing",
    "measure_invariance": "invariance",
    "normalize_intensity": "normalize",
    "process_dataset": "cohorts.bids_app",
    "register": "registration.registering",
    "register_cohort": "cohorts.registering",
    "rendered": "invariance",
    "segment": "segmenting",
    "segment_cohort": "cohorts.segmenting",
    "segment_in_context": "by_example",
    "strip": "stripping",
    "strip_cohort": "cohorts.stripping",
    "super_resolve": "imaging",
    "super_resolve_cohort": "cohorts.imaging",
    "surfaces_cohort": "cohorts.surfacing",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
