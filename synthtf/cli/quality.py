"""`synthtf quality`: tell how strong noise, motion and the like are in scans."""

import argparse

from synthtf.cli import arguments
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "quality",
        help="tell how strong noise, motion and the like are in scans",
        description="Tell how strong noise, blur, motion, ghosts, spikes and the bias field are in "
        "scans of any contrast and orientation, with a network that was trained to (synthtf train "
        "quality --recipe quality), in a table of a row per scan. Rows of other scans stay.",
    )
    arguments.add_input(parser, what="scans")
    parser.add_argument(
        "--csv",
        required=True,
        metavar="FILE",
        help="table of the numbers, each in the unit in which the recipe draws it",
    )
    arguments.add_model(parser)
    parser.add_argument(
        "--ct", action="store_true", help="scans are in Hounsfield units: clip them to 0-80"
    )
    arguments.add_skip_existing(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Judge all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import CohortOptions, judge_cohort

    outcome = judge_cohort(
        arguments.chosen_input(args),
        args.csv,
        args.model,
        ct=args.ct,
        options=CohortOptions(False, args.skip_existing, args.command_line),
    )
    return arguments.told(outcome)
