"""`synthtf evaluate`: compare segmentations with references."""

import argparse
from pathlib import Path

from synthtf.batch import for_each_file
from synthtf.cli.arguments import writable_file
from synthtf.messages import print_line
from synthtf.usage import usage_errors

_COLUMNS = {
    "label": "d",
    "name": "",
    "dice": ".3f",
    "hausdorff95_mm": ".2f",
    "volume_mm3": ".0f",
    "reference_volume_mm3": ".0f",
}


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
    parser.add_argument("--csv", metavar="FILE", help="write one row per scan and label")
    parser.add_argument(
        "--labels", metavar="TABLE", help="names of the labels: .tsv, or a FreeSurfer table"
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate all pairs; 1 if some failed or have no partner."""
    from synthtf.data.label_table import LabelTable, count_labels
    from synthtf.data.pairing import pair_files
    from synthtf.data.tables import write_table
    from synthtf.evaluation.averages import MEASURES

    with usage_errors():
        pairs, alone = pair_files(args.prediction, args.reference)
        table = LabelTable.read(args.labels) if args.labels else None
        output = writable_file(args.csv, "--csv")

    from synthtf.data.volumes import read_volume
    from synthtf.evaluation.comparing import evaluate

    found = {}

    def evaluate_one(pair: tuple[Path, Path]) -> None:
        prediction, reference = (read_volume(path, labels=True) for path in pair)
        used = {*count_labels(prediction.data), *count_labels(reference.data)}
        known = table or LabelTable.from_labels(used)
        found[pair[0]] = evaluate(prediction, reference, known)

    failed = for_each_file(
        "evaluate", pairs, evaluate_one, path=lambda pair: pair[0], debug=args.debug
    )
    for path in alone:
        print_line(f"synthtf evaluate: {path}: no file of the same name on the other side")
    _print_summary(found)
    if output is not None:
        rows = [{"scan": path, **row} for path, result in found.items() for row in result]
        write_table(output, ["scan", "label", "name", *MEASURES], rows)
    return 1 if failed or alone else 0


def _print_summary(found: dict[Path, list[dict]]) -> None:
    from synthtf.data.tables import format_table
    from synthtf.evaluation.averages import mean_over_labels, mean_over_scans

    if not found:
        return
    rows = mean_over_scans(list(found.values()))
    columns = _COLUMNS
    if len(found) > 1:
        scans = [{**mean_over_labels(table), "scan": str(path)} for path, table in found.items()]
        print(format_table({"scan": "", "dice": ".3f", "hausdorff95_mm": ".2f"}, scans))
        print(f"\nMean of {len(found)} scans")
        columns = {**_COLUMNS, "scans": "d"}
    print(format_table(columns, [*rows, mean_over_labels(rows)]))
