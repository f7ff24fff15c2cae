"""Reports on segmentations: measures and warnings, pictures, pages."""

from synthtf.reports.measure import Report, report
from synthtf.reports.reporting import report_files

__all__ = ["Report", "report", "report_files"]
