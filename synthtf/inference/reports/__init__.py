"""Reports on segmentations: measures and warnings, pictures, pages."""

from synthtf.inference.reports.measure import Report, report

__all__ = ["Report", "report"]
