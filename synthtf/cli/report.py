"""`synthtf report`: quality control of segmentations and brain masks."""

import argparse

from synthtf.cli import arguments


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
    from synthtf.reports import report_files

    outcome = report_files(args.input, args.segmentation, args.output, labels=args.labels)
    return arguments.told(outcome)
