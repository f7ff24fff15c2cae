"""Training of any task: from label maps to a run."""

from synthtf.lazy import loader

_MODULES = {
    "CombinedModel": "combined",
    "FeatureInvariance": "feature_invariance",
    "ScanValidation": "validation",
    "LearnRanges": "learned_ranges",
    "MixedPairs": "real_pairs",
    "Schedule": "schedule",
    "TrainingPlan": "plan",
    "on_devices": "devices",
    "train": "loop",
    "train_run": "workflow",
}

__all__ = sorted(_MODULES)
__getattr__ = loader(__name__, _MODULES)
