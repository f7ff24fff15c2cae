"""`synthtf surfaces`: find the white and the pial surface of the cortex in scans."""

import argparse

from synthtf.cli import arguments
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "surfaces",
        help="find the surfaces of the cortex in scans, and its thickness",
        description="Find the white and the pial surface of each hemisphere in scans of any "
        "contrast, orientation and resolution, each a closed mesh without handles, and the "
        "thickness of the cortex between them, as GIFTI files in the space of the scan. Needs "
        'scikit-image: pip install "synthtf[surfaces]". Existing outputs are overwritten unless '
        "--skip-existing is given.",
    )
    arguments.add_input(parser, what="scans")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FOLDER",
        help="folder, which becomes a BIDS data set of derivatives for a BIDS data set; each scan "
        "gets the files NAME_hemi-{L,R}_{white,pial}.surf.gii and "
        "NAME_hemi-{L,R}_thickness.shape.gii, the latter for the white surface",
    )
    arguments.add_model(parser)
    arguments.add_prediction(parser)
    arguments.add_cohort(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Find the surfaces in all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import surfaces_cohort

    outcome = surfaces_cohort(
        arguments.chosen_input(args),
        args.output,
        args.model,
        flip=args.flip,
        ct=args.ct,
        budget=arguments.memory_budget(args),
        options=arguments.cohort_options(args),
    )
    return arguments.told(outcome)
