"""`synthtf check`: what will go wrong in a training, found before it."""

import argparse

from synthtf.cli import arguments, plans
from synthtf.data.paths import writable_file
from synthtf.tasks.registry import tasks
from synthtf.usage import usage_errors


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "check",
        help="look for what will go wrong in a training on label maps, before it",
        description="Read every label map and report damaged files, labels that the table does "
        "not list or the maps do not hold, sides without partners or swapped, mixed geometry, cut "
        "brains, duplicates, a shape that fits, and the memory that a training takes; then what "
        "the task cannot learn from synthetic images, and what is advised for it. Give the "
        "options that synthtf train will be given.",
        epilog="Exit status: 0 if there is no error (there may be warnings), 1 if there is, "
        "2 on wrong usage.",
    )
    parser.add_argument("maps", metavar="LABEL_DIR", help="folder, file or .txt list of label maps")
    parser.add_argument(
        "--task",
        choices=tuple(tasks()),
        default=next(iter(tasks())),
        help="what will be trained (default: %(default)s)",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="show every file, and a table of the labels"
    )
    parser.add_argument("--csv", metavar="FILE", help="write the table of the labels")
    plans.add_plan(parser, list(tasks().values()))


def run(args: argparse.Namespace) -> int:
    """Report; 1 if there is an error."""
    with usage_errors():
        table = writable_file(args.csv, "--csv")
    paths, plan = plans.maps_of(args), plans.plan_of(args)
    from synthtf.training.preflight import check_training

    return arguments.told(check_training(paths, plan, verbose=args.verbose, table=table))
