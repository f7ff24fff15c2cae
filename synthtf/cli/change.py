"""`synthtf change`: find what has changed between two scans of one person."""

import argparse

from synthtf.cli import arguments
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "change",
        help="find what has changed between two scans of one person",
        description="Find what has changed from SCAN1 to SCAN2, a later scan of the same person, "
        "which may be of another contrast, orientation and resolution, with a network that was "
        "trained to (synthtf train change). The map has the grid of SCAN1: the share of each voxel "
        "that a region has gained, above 0, or lost, below 0. Existing outputs are overwritten "
        "unless --skip-existing is given.",
    )
    parser.add_argument(
        "first",
        nargs="?",
        metavar="SCAN1",
        help="the earlier scan: a file, a folder or a .txt list; or, without SCAN2, the folder of "
        "a BIDS data set, in which the first scan of each subject is the earlier one of all others",
    )
    parser.add_argument(
        "second", nargs="?", metavar="SCAN2", help="the later scan, or as many; many for one SCAN1"
    )
    parser.add_argument(
        "--pairs",
        metavar="TABLE",
        help="instead of SCAN1 and SCAN2: .tsv or .csv file with the columns fixed (SCAN1) and "
        "moving (SCAN2), and name for what the outputs are called",
    )
    outputs = parser.add_argument_group("outputs")
    outputs.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="the map, a frame per region: a file for one pair, else a folder",
    )
    outputs.add_argument(
        "--vol", metavar="CSV", help="change of the volume of each region in mm³, a row per pair"
    )
    arguments.add_model(parser)
    parser.add_argument(
        "--affine",
        metavar="RUN",
        help="run of registration, affine or rigid, that aligns SCAN2 with SCAN1 by a rotation and "
        "a translation (default: the one that comes with the package)",
    )
    parser.add_argument(
        "--aligned",
        action="store_true",
        help="the scans are aligned by their headers; their grids may differ",
    )
    arguments.add_prediction(parser)
    arguments.add_cohort(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Find the changes of all pairs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import ScanPairs, change_cohort

    # A data set alone is that of the later scans, too.
    scans = (args.second, args.first) if args.second else (args.first, None)
    outcome = change_cohort(
        ScanPairs.of(*scans, table=args.pairs),
        args.output,
        args.model,
        affine=args.affine,
        aligned=args.aligned,
        volumes=args.vol,
        flip=args.flip,
        ct=args.ct,
        budget=arguments.memory_budget(args),
        options=arguments.cohort_options(args),
    )
    return arguments.told(outcome)
