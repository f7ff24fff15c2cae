"""Reports of files, pair by pair."""

import os
from pathlib import Path

from synthtf.batch import Outcome, for_each_file
from synthtf.data.label_table import LabelTable
from synthtf.data.pairing import ALONE, name_partnerless, pair_files
from synthtf.data.paths import writable_file
from synthtf.messages import describe
from synthtf.reports.files import ScansReport, write_report
from synthtf.reports.measure import report
from synthtf.usage import usage_errors
from synthtf.version import __version__

_GENERATOR = f"synthtf {__version__}"


def report_files(
    scans: str | os.PathLike,
    segmentations: str | os.PathLike,
    output: str | os.PathLike,
    *,
    labels: str | os.PathLike | None = None,
) -> Outcome:
    """Report on segmentations or brain masks of scans.

    Args:
        scans: a file, a folder, or a .txt list.
        segmentations: the same kind; see `pair_files`.
        output: .html file; for one scan also .png. Several give a table of scans, and a page per
            scan in a folder beside it.
        labels: table of the names of labels.

    Returns:
        How many were reported, and which failed or have no partner.

    Raises:
        ValueError: if the files do not fit, or those of one scan hold no volume.
        OSError: if the report cannot be written.
    """
    single = not Path(scans).is_dir() and Path(scans).suffix.lower() != ".txt"
    with usage_errors():
        path = _output(output, single)
        pairs, alone = pair_files(segmentations, scans)
        table = LabelTable.read(labels) if labels else None
    if single:
        segmentation, scan = pairs[0]
        write_report(report(scan, segmentation, table), path, _GENERATOR)
        return Outcome(1)
    pages = ScansReport(path, _GENERATOR, table)

    def report_one(pair: tuple[Path, Path]) -> None:
        segmentation, scan = pair
        try:
            pages.add(scan, segmentation)
        except Exception as error:
            pages.refuse(scan, describe(error))
            raise

    try:
        outcome = for_each_file("report", pairs, report_one, name=lambda pair: pair[1])
        return name_partnerless("report", alone, outcome)
    finally:  # also when interrupted
        for file in alone:
            pages.refuse(file, ALONE)
        pages.write()


def _output(path: str | os.PathLike, single: bool) -> Path:
    """The file to write, of the ending of a report."""
    endings = (".html", ".htm", ".png") if single else (".html", ".htm")
    if Path(path).suffix.lower() not in endings:
        kind = "one scan" if single else "several scans"
        raise ValueError(
            f"--output: expected a file that ends in {' or '.join(endings)} for {kind}, "
            f"received {path}"
        )
    return writable_file(path, "--output")
