"""`synthtf report`: quality control of segmentations and brain masks."""

import argparse
from pathlib import Path

from synthtf.batch import for_each_file
from synthtf.cli.arguments import writable_file
from synthtf.messages import describe, print_line
from synthtf.usage import UsageError, usage_errors

_ALONE = "no file of the same name on the other side"


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "report",
        help="quality control of segmentations and brain masks: pictures, volumes, warnings",
        description="Report on the segmentation or the brain mask of a scan: slices with outlines, "
        "volumes of left and right, signs of failure, geometry, and the JSON file beside the "
        "segmentation. Folders are matched by file name (x_seg and x_mask also match x), .txt "
        "lists line by line: they give a table of scans, and a page per scan in the folder "
        "OUT_scans. A segmentation on another grid is resampled for the pictures, with a warning.",
    )
    parser.add_argument("input", metavar="IN", help="scans: a file, a folder, or a .txt list")
    parser.add_argument("segmentation", metavar="SEG", help="the same kind")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help=".html, which needs no other file or network; for one scan also .png",
    )
    parser.add_argument(
        "--labels",
        metavar="TABLE",
        help="names of the labels: .tsv, such as labels.tsv of a run, or a FreeSurfer table",
    )


def run(args: argparse.Namespace) -> int:
    """Report all pairs; 1 if some failed or have no partner."""
    from synthtf.data.label_table import LabelTable
    from synthtf.data.pairing import pair_files

    single = not Path(args.input).is_dir() and Path(args.input).suffix.lower() != ".txt"
    with usage_errors():
        output = _output(args.output, single)
        pairs, alone = pair_files(args.segmentation, args.input)
        table = LabelTable.read(args.labels) if args.labels else None

    from synthtf.reports.files import ScansReport, write_report
    from synthtf.reports.measure import report
    from synthtf.version import __version__

    generator = f"synthtf {__version__}"
    if single:
        segmentation, scan = pairs[0]
        write_report(report(scan, segmentation, table), output, generator)
        return 0
    scans = ScansReport(output, generator, table)

    def report_one(pair: tuple[Path, Path]) -> None:
        segmentation, scan = pair
        try:
            scans.add(scan, segmentation)
        except Exception as error:
            scans.refuse(scan, describe(error))
            raise

    try:
        failed = for_each_file(
            "report", pairs, report_one, path=lambda pair: pair[1], debug=args.debug
        )
    finally:  # also when interrupted
        for path in alone:
            print_line(f"synthtf report: {path}: {_ALONE}")
            scans.refuse(path, _ALONE)
        scans.write()
    return 1 if failed or alone else 0


def _output(path: str, single: bool) -> Path:
    """The file to write.

    Raises:
        UsageError: If it has no ending of a report, or cannot be written.
    """
    endings = (".html", ".htm", ".png") if single else (".html", ".htm")
    if Path(path).suffix.lower() not in endings:
        kind = "one scan" if single else "several scans"
        raise UsageError(
            f"--output: expected a file that ends in {' or '.join(endings)} for {kind}, "
            f"received {path}"
        )
    return writable_file(path, "--output")
