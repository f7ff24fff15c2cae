"""Using trained networks on real scans: conform, predict, restore, measure."""

from synthtf.inference.conform import ConformedGrid
from synthtf.inference.evaluate import dice, evaluate, hausdorff95
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.segment import EmptySegmentationWarning, Segmentation, segment

__all__ = [
    "ConformedGrid",
    "EmptySegmentationWarning",
    "Segmentation",
    "dice",
    "evaluate",
    "hausdorff95",
    "normalize_intensity",
    "segment",
]
