"""`synthtf instances`: tell objects of one kind apart, such as cells."""

import argparse

from synthtf.cli import arguments
from synthtf.inference.defaults import OBJECT_OVERLAP, OBJECT_PROBABILITY
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "instances",
        help="tell objects of one kind apart, such as cells",
        description="Find star-convex objects in 2D or 3D images of any contrast with a network "
        "that was trained to (synthtf train instances), and number them, the most probable one "
        "first. Results have the grid and the geometry of the image. Needs the package stardist: "
        "pip install synthtf[instances]. Existing outputs are overwritten unless --skip-existing "
        "is given.",
    )
    arguments.add_input_output(parser, what="images")
    arguments.add_model(parser)
    parser.add_argument(
        "--threshold",
        type=float,
        default=OBJECT_PROBABILITY,
        metavar="P",
        help="object probability, 0 to 1, above which a maximum of it proposes an object (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=OBJECT_OVERLAP,
        metavar="X",
        help="share of the smaller of two objects, 0 to 1, above which the less probable one is "
        "dropped (default: %(default)s)",
    )
    arguments.add_memory(parser)
    arguments.add_cohort(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Find the objects of all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import instances_cohort

    outcome = instances_cohort(
        arguments.chosen_input(args),
        args.output,
        args.model,
        threshold=args.threshold,
        overlap=args.overlap,
        budget=arguments.memory_budget(args),
        options=arguments.cohort_options(args),
    )
    return arguments.told(outcome)
