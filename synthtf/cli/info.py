"""`synthtf info`: what a training run is."""

import argparse

from synthtf.cli import plans


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "info",
        help="say what a training run is: task, labels, recipe, training",
        description="Say what a training run is: its task and network, its labels, the recipe of "
        "its synthetic images, and how it was trained.",
    )
    parser.add_argument(
        "model", metavar="RUN", help="folder of a training run (synthtf train), or name of a model"
    )
    plans.add_plugin(parser)


def run(args: argparse.Namespace) -> int:
    """Print the description of a run."""
    if args.plugin:
        plans.import_plugins(args)
    from synthtf.inference import describe_run

    print(describe_run(args.model))
    return 0
