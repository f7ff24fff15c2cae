"""Comparing segmentations with references: overlap, distances, volumes, and their averages."""

from synthtf.evaluation.comparing import dice, evaluate, hausdorff95, volumes
from synthtf.evaluation.files import evaluate_files

__all__ = ["dice", "evaluate", "evaluate_files", "hausdorff95", "volumes"]
