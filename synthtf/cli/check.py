"""`synthtf check`: what will go wrong in a training, found before it."""

import argparse

from synthtf.cli.arguments import positive_integer, writable_file
from synthtf.cli.startup import load_backend
from synthtf.cli.usage import usage_errors


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "check",
        help="look for what will go wrong in a training on label maps, before it",
        description="Read every label map and report damaged files, labels that the table does "
        "not list or the maps do not hold, sides without partners or swapped, mixed geometry, cut "
        "brains, duplicates, a shape that fits, and the memory that a training takes. Give the "
        "options that synthtf train will be given.",
        epilog="Exit status: 0 if there is no error (there may be warnings), 1 if there is, "
        "2 on wrong usage.",
    )
    parser.add_argument("maps", metavar="LABEL_DIR", help="folder, file or .txt list of label maps")
    parser.add_argument("--labels", metavar="TABLE", help="label table: .tsv or FreeSurferColorLUT")
    parser.add_argument(
        "--recipe",
        metavar="JSON|NAME",
        default="heads",
        help="file of ranges, or the name of a preset (default: %(default)s)",
    )
    parser.add_argument(
        "--spacing", type=float, metavar="MM", help="voxel size (default: the maps')"
    )
    parser.add_argument(
        "--shape",
        type=positive_integer,
        nargs="+",
        metavar="N",
        help="voxels per axis, around the brain (default: the whole maps)",
    )
    for flag, default, text in (
        ("--features", 24, "of the first level of the network"),
        ("--levels", 5, "resolution levels"),
        ("--batch-size", 1, "samples per step"),
    ):
        parser.add_argument(
            flag,
            type=positive_integer,
            default=default,
            metavar="N",
            help=f"{text} (default: %(default)s)",
        )
    parser.add_argument(
        "--verbose", action="store_true", help="show every file, and a table of the labels"
    )
    parser.add_argument("--csv", metavar="FILE", help="write the table of the labels")


def run(args: argparse.Namespace) -> int:
    """Report; 1 if there is an error."""
    with usage_errors():
        from synthtf.data.paths import expand_inputs

        paths = expand_inputs(args.maps)
        table_file = writable_file(args.csv, "--csv")
    load_backend()
    from tqdm import tqdm

    from synthtf.networks import UNetConfig
    from synthtf.synthesis import load_recipe
    from synthtf.tasks.plans import SegmentationPlan
    from synthtf.tasks.preflight import preflight
    from synthtf.tasks.workflow import TrainingPlan, load_table

    with usage_errors():
        plan = TrainingPlan(
            labels=load_table(args.labels),
            recipe=load_recipe(args.recipe),
            spacing=args.spacing,
            shape=args.shape,
            task=SegmentationPlan(UNetConfig(args.features, args.levels)),
            batch_size=args.batch_size,
        )
    found = preflight(paths, plan, lambda items: tqdm(items, unit="map", disable=None))
    print(found.report(args.verbose))
    if table_file is not None:
        found.write_labels(table_file)
    return 1 if found.has_errors else 0
