"""`synthtf invariance`: how much the features of a network depend on contrast."""

import argparse

from synthtf.cli import arguments
from synthtf.cli.plans import folder_of


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "invariance",
        help="compare the features of a network over contrasts of one anatomy, layer by layer",
        description="Show scans of one head in one space, or synthetic images of one label map, to "
        "a network, and compare the features that each layer makes of them: normalised "
        "cross-correlation and mean absolute difference. Features that do not depend on contrast "
        "correlate by nearly 1. DIR gets invariance.csv and invariance.png.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="folder of a training run, or the name of a model that comes with the package",
    )
    parser.add_argument("scans", nargs="*", metavar="SCAN", help="two or more scans on one grid")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--from-labels",
        metavar="MAP",
        help="label map to synthesise images from, unmoved, by the recipe of the model; no scans",
    )
    parser.add_argument(
        "-n",
        "--num",
        type=arguments.positive_integer,
        default=4,
        metavar="N",
        help="number of these images (default: %(default)s)",
    )
    parser.add_argument(
        "--ct", nargs="+", default=[], metavar="SCAN", help="those of the scans in Hounsfield units"
    )


def run(args: argparse.Namespace) -> int:
    """Compare."""
    folder = folder_of(args)
    from synthtf.inference.invariance import measure_invariance

    outcome = measure_invariance(
        args.model, args.scans, folder, labels=args.from_labels, num=args.num, ct=args.ct
    )
    return arguments.told(outcome)
