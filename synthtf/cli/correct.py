"""`synthtf correct`: remove the bias field from scans of any contrast."""

import argparse

from synthtf.cli import arguments
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "correct",
        help="remove the bias field from scans of any contrast",
        description="Find the bias field of scans of any contrast, orientation and resolution "
        "with a network that was trained to (synthtf train regression --recipe bias), and divide "
        "by it. Results have the grid and the geometry of the scan. Existing outputs are "
        "overwritten unless --skip-existing is given.",
    )
    arguments.add_input(parser, what="scans")
    outputs = parser.add_argument_group("outputs, a folder for several scans")
    outputs.add_argument("-o", "--output", metavar="CORRECTED", help="the corrected scan")
    outputs.add_argument("-f", "--field", metavar="FIELD", help="the bias field")
    arguments.add_model(parser)
    arguments.add_prediction(parser)
    arguments.add_cohort(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Correct all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import correct_cohort

    outcome = correct_cohort(
        arguments.chosen_input(args),
        args.output,
        args.model,
        field=args.field,
        flip=args.flip,
        ct=args.ct,
        budget=arguments.memory_budget(args),
        options=arguments.cohort_options(args),
    )
    return arguments.told(outcome)
