"""`synthtf in-context`: segment scans by the example of a few."""

import argparse

from synthtf.cli import arguments
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "in-context",
        help="segment scans by the example of a few that are labelled",
        description="Find in scans what a few pairs of image and label map show, with a network "
        "that has learned to (synthtf train in-context), whatever the structures and the contrast. "
        "A network of two dimensions takes axial slices, or images of one slice. Labels have the "
        "grid and the geometry of the scan. Existing outputs are overwritten unless "
        "--skip-existing is given.",
    )
    arguments.add_input_output(parser, what="scans")
    parser.add_argument(
        "-c",
        "--context",
        nargs=2,
        action="append",
        required=True,
        metavar=("IMAGE", "LABELS"),
        help="an image and its label map; may be given several times, and more are better",
    )
    parser.add_argument(
        "--find",
        type=int,
        nargs="+",
        metavar="LABEL",
        help="labels to find (default: all in the context but 0)",
    )
    arguments.add_model(parser)
    arguments.add_cohort(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Segment all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import in_context_cohort

    outcome = in_context_cohort(
        arguments.chosen_input(args),
        args.output,
        args.context,
        args.model,
        labels=args.find,
        options=arguments.cohort_options(args),
    )
    return arguments.told(outcome)
