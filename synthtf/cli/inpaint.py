"""`synthtf inpaint`: fill lesions of scans with healthy anatomy."""

import argparse

from synthtf.cli import arguments
from synthtf.inference.defaults import MARGIN
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "inpaint",
        help="fill lesions of scans with healthy anatomy",
        description="Replace what lies in a mask, such as lesions, by what the surroundings in the "
        "scan suggest, with a network that was trained to (synthtf train regression --recipe "
        "inpainting). Voxels outside of the mask stay as they are. Existing outputs are "
        "overwritten unless --skip-existing is given.",
    )
    parser.add_argument(
        "input",
        metavar="IN",
        help="scans: a file, a folder, a .txt list of files, or the folder of a BIDS data set, "
        "whose anatomical scans are taken",
    )
    parser.add_argument(
        "mask",
        metavar="MASK",
        help="not 0 in what is to be filled, on the grid of the scan: a file, or as many as IN, in "
        "their order",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="a file, or a folder for several"
    )
    arguments.add_model(parser)
    parser.add_argument(
        "--margin",
        type=float,
        default=MARGIN,
        metavar="MM",
        help="what the network does not see around the mask either, where lesions shine through "
        "(default: %(default)s)",
    )
    arguments.add_prediction(parser)
    arguments.add_cohort(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Fill all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import inpaint_cohort

    outcome = inpaint_cohort(
        args.input,
        args.mask,
        args.output,
        args.model,
        margin=args.margin,
        flip=args.flip,
        ct=args.ct,
        budget=arguments.memory_budget(args),
        options=arguments.cohort_options(args),
    )
    return arguments.told(outcome)
