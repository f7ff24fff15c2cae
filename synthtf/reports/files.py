"""Files of reports: HTML or PNG for one scan, a table with a page per scan for many."""

import os
import textwrap
from os import PathLike
from pathlib import Path
from urllib.parse import quote

from synthtf.data.label_table import LabelTable
from synthtf.data.paths import output_in, stem
from synthtf.data.tables import format_table
from synthtf.data.whole_files import write_whole, written_aside
from synthtf.figures.mosaic import report_sheet, thumbnail_png
from synthtf.reports.markup import printable
from synthtf.reports.measure import Report, report
from synthtf.reports.page import ScanRow, scan_page, scans_page

_NUM_SLICES, _SIZE = 6, 320
_THUMBNAIL = 110  # pixels along the longest axis
_COLUMNS = 64  # characters of a line of the picture
_MAX_STRUCTURES = 40  # lines of the table of the picture


def write_report(found: Report, path: "str | PathLike", generator: str) -> None:
    """Write a report as a page, or as a picture.

    Args:
        found: The report.
        path: File that ends in .html, .htm or .png; it replaces an existing one when complete.
        generator: Program that made it.

    Raises:
        ValueError: If the ending is another.
        OSError: If the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    if ending in (".html", ".htm"):
        write_whole(path, scan_page(found, generator).encode())
    elif ending == ".png":
        with written_aside(path) as aside:
            _draw(found, aside)
    else:
        raise ValueError(f"{path}: expected a file that ends in .html or .png")


class ScansReport:
    """Reports of many scans: a page with a table, and a page per scan in a folder beside it.

    Args:
        path: HTML file of the table; the folder has its name and `_scans`.
        generator: Program that made it.
        table: Names of the labels.
    """

    def __init__(self, path: "str | PathLike", generator: str, table: LabelTable | None) -> None:
        self._path, self._generator, self._labels = Path(path), generator, table
        self._folder = self._path.with_name(f"{self._path.stem}_scans")
        self._rows: list[ScanRow] = []
        self._names: set[str] = set()

    def add(self, scan: "str | PathLike", segmentation: "str | PathLike") -> None:
        """Report a scan: write its page and add its row.

        Args:
            scan: File.
            segmentation: File.

        Raises:
            ValueError: As `report`.
            FileNotFoundError: As `report`.
            OSError: If the page cannot be written.
        """
        found = report(scan, segmentation, self._labels)
        page = output_in(self._folder, self._new_name(found.name))
        back = f"../{_address(self._path.name)}"
        write_whole(page, scan_page(found, self._generator, back).encode())
        self._rows.append(
            ScanRow(
                name=found.name,
                link=f"{_address(self._folder.name)}/{_address(page.name)}",
                thumbnail=thumbnail_png(found.view.mosaics(1, _THUMBNAIL, filled=True)),
                total=(found.total_name, found.total),
                groups=found.groups,
                warnings=found.warnings,
            )
        )

    def refuse(self, file: "str | PathLike", reason: str) -> None:
        """Add the row of a scan that has no report, and why."""
        self._rows.append(ScanRow(name=stem(file), error=reason))

    def write(self) -> None:
        """Write the table; it replaces an existing one when complete.

        Raises:
            OSError: If the file cannot be written.
        """
        page = scans_page(self._rows, f"Report: {self._path.stem}", self._generator)
        write_whole(self._path, page.encode())

    def _new_name(self, name: str) -> str:
        """Name of a page that no other has, even where upper and lower case are one."""
        number, candidate = 1, name
        while candidate.lower() in self._names:
            number += 1
            candidate = f"{name}-{number}"
        self._names.add(candidate.lower())
        return f"{candidate}.html"


def _address(name: str) -> str:
    return quote(os.fsencode(name), safe="")


def _draw(found: Report, path: Path) -> None:
    """Draw the mosaics, the table of volumes and the warnings."""
    pictures = found.view.mosaics(_NUM_SLICES, _SIZE)
    shown = found.structures[:_MAX_STRUCTURES]
    paired = any(len(structure.labels) > 1 for structure in shown)
    rows = []
    for structure in shown:
        row = {"structure": textwrap.shorten(structure.name, 36), "mL": structure.volume / 1000}
        if len(structure.labels) > 1:
            left, right = structure.volumes
            row |= {
                "left, mL": left / 1000,
                "right, mL": right / 1000,
                "asymmetry, %": structure.asymmetry,
            }
        rows.append(row)
    sides = {"left, mL": ",.2f", "right, mL": ",.2f", "asymmetry, %": "+.1f"} if paired else {}
    table = format_table({"structure": "", **sides, "mL": ",.2f"}, rows).splitlines()
    lines: list[tuple[str, tuple[int, ...]]] = [(table[0], ())]
    lines += [(line, s.labels) for line, s in zip(table[1:], shown, strict=True)]
    if len(found.structures) > len(shown):
        lines.append((f"and {len(found.structures) - len(shown)} more", ()))
    total = f"{found.total_name}: {found.total / 1000:,.4g} mL"
    facts = [f"{key}: {scan}" for key, (scan, _) in found.geometry.items() if key != "file"]
    notes = [f"! {warning}" for warning in found.warnings] or ["No warnings."]
    for text in ("", total, "", *notes, "", "scan", *facts):
        wrapped = textwrap.wrap(text, _COLUMNS, subsequent_indent="  ") or [""]
        lines += [(printable(line), ()) for line in wrapped]
    captions = [found.view.captions(picture) for picture in pictures]
    report_sheet(pictures, path, printable(found.name), captions, lines)
