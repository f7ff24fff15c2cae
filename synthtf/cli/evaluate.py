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
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--centre-lines",
        action="store_true",
        help="labels are tubes, such as vessels: compare their centre lines as well (clDice)",
    )
    kinds.add_argument(
        "--instances",
        action="store_true",
        help="labels are numbers of objects, such as cells: match them, and give the average "
        "precision at an intersection over union of one half",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate all pairs; 1 if some failed or have no partner."""
    from synthtf.evaluation import evaluate_files, evaluate_objects

    pair = args.prediction, args.reference
    if args.instances:
        outcome = evaluate_objects(*pair, csv=args.csv)
    else:
        options = {"labels": args.labels, "centre_lines": args.centre_lines}
        outcome = evaluate_files(*pair, csv=args.csv, **options)
    return arguments.told(outcome)
