"""Comparing segmentations with references: overlap, distances, volumes, and their averages."""

from synthtf.evaluation.comparing import dice, evaluate, hausdorff95, volumes

__all__ = ["dice", "evaluate", "hausdorff95", "volumes"]
