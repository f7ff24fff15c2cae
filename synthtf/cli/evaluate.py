"""`synthtf evaluate`: compare segmentations with references."""

import argparse

from synthtf.cli import arguments


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "evaluate",
        help="compare segmentations with references: Dice, Hausdorff distance, volumes",
        description="Compare segmentations with references on the same grid: Dice, 95 %% "
        "Hausdorff distance in mm, and volumes in mm³, for each label and on average. Folders "
        "are matched by file name (x_seg also matches x), .txt lists line by line.",
    )
    parser.add_argument("prediction", metavar="PRED", help="a file, a folder, or a .txt list")
    parser.add_argument("reference", metavar="REF", help="the same kind")
    parser.add_argument(
        "--csv",
        metavar="FILE",
        help="write one row per scan and label; rows of other scans in the file are kept",
    )
    parser.add_argument(
        "--labels", metavar="TABLE", help="names of the labels: .tsv, or a FreeSurfer table"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate all pairs; 1 if some failed or have no partner."""
    from synthtf.evaluation import evaluate_files

    outcome = evaluate_files(args.prediction, args.reference, labels=args.labels, csv=args.csv)
    return arguments.told(outcome)
