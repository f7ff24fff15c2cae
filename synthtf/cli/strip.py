"""`synthtf strip`: remove what is not brain from scans of any contrast."""

import argparse

from synthtf.cli import arguments
from synthtf.inference.defaults import BORDER
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "strip",
        help="remove what is not brain from scans of any contrast",
        description="Find the brain in scans of any contrast, orientation and resolution, with "
        "skull or without. Results have the grid and the geometry of the scan; each frame is "
        "stripped by itself. Existing outputs are overwritten unless --skip-existing is given.",
    )
    arguments.add_input(parser, what="scans")
    outputs = parser.add_argument_group("outputs, a folder for several scans")
    outputs.add_argument("-o", "--output", metavar="STRIPPED", help="the scan without the rest")
    outputs.add_argument("-m", "--mask", metavar="MASK", help="the brain as 1")
    outputs.add_argument(
        "-d", "--distance", metavar="SDT", help="signed distance to the brain, in mm"
    )
    arguments.add_model(parser)
    parser.add_argument(
        "-b",
        "--border",
        type=float,
        default=BORDER,
        metavar="MM",
        help="of the mask around the brain; may be negative (default: %(default)s)",
    )
    parser.add_argument(
        "--no-csf",
        dest="csf",
        action="store_false",
        help="leave out the CSF in sulci and fissures",
    )
    arguments.add_prediction(parser)
    arguments.add_cohort(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Strip all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import strip_cohort

    outcome = strip_cohort(
        arguments.chosen_input(args),
        args.output,
        args.model,
        mask=args.mask,
        distance=args.distance,
        border=args.border,
        csf=args.csf,
        flip=args.flip,
        ct=args.ct,
        budget=arguments.memory_budget(args),
        options=arguments.cohort_options(args),
    )
    return arguments.told(outcome)
