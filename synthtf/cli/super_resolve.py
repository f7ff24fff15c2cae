"""`synthtf super-resolve`: make images of high resolution of scans of any contrast."""

import argparse

from synthtf.cli import arguments
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "super-resolve",
        help="make images of high resolution, or of another contrast, of scans",
        description="Make the image that a network was trained to return (synthtf train "
        "regression) of scans of any contrast, orientation and resolution, at the resolution of "
        "the network and in RAS orientation. Existing outputs are overwritten unless "
        "--skip-existing is given.",
    )
    arguments.add_input_output(parser, what="scans")
    arguments.add_model(parser)
    parser.add_argument(
        "--target",
        metavar="NAME",
        help="which image, where a network returns several: the name of the step of its recipe "
        "that keeps it (default: the first)",
    )
    arguments.add_prediction(parser)
    arguments.add_cohort(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Make the images of all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import super_resolve_cohort

    outcome = super_resolve_cohort(
        arguments.chosen_input(args),
        args.output,
        args.model,
        target=args.target,
        flip=args.flip,
        ct=args.ct,
        budget=arguments.memory_budget(args),
        options=arguments.cohort_options(args),
    )
    return arguments.told(outcome)
