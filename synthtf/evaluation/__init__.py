"""Comparing segmentations with references: overlap, distances, volumes, and their averages."""

from synthtf.evaluation.centre_lines import centre_line_dice
from synthtf.evaluation.comparing import dice, evaluate, hausdorff95, volumes
from synthtf.evaluation.files import evaluate_files, evaluate_objects
from synthtf.evaluation.objects import ObjectMatch, match_objects

__all__ = [
    "ObjectMatch",
    "centre_line_dice",
    "dice",
    "evaluate",
    "evaluate_files",
    "evaluate_objects",
    "hausdorff95",
    "match_objects",
    "volumes",
]
