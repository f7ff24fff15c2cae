"""Using trained networks on real scans: conform, predict, restore, measure."""

from synthtf.inference.apply import apply_to_points, apply_transform
from synthtf.inference.components import Cleaning
from synthtf.inference.conform import ConformedGrid
from synthtf.inference.evaluate import dice, evaluate, hausdorff95
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.patches.memory import MemoryBudget
from synthtf.inference.registration.register import Registration, register
from synthtf.inference.reports.measure import Report, report
from synthtf.inference.segment import EmptySegmentationWarning, Segmentation, segment
from synthtf.inference.strip import EmptyMaskWarning, Stripping, strip

__all__ = [
    "Cleaning",
    "ConformedGrid",
    "EmptyMaskWarning",
    "EmptySegmentationWarning",
    "MemoryBudget",
    "Registration",
    "Report",
    "Segmentation",
    "Stripping",
    "apply_to_points",
    "apply_transform",
    "dice",
    "evaluate",
    "hausdorff95",
    "normalize_intensity",
    "register",
    "report",
    "segment",
    "strip",
]
