"""Reports on segmentations: measures and warnings, pictures, pages."""

from synthtf.reports.measure import Report, report

__all__ = ["Report", "report"]
