"""`synthtf register`: align scans of any contrast with a trained network."""

import argparse

from synthtf.cli import arguments
from synthtf.inference.defaults import METHODS, MIN_STEPS, REGULARIZATION, STEPS
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "register",
        help="align scans of any contrast with a trained network",
        description="Align MOVING with FIXED, two scans of any contrast, orientation and "
        "resolution, with or without skull. `synthtf apply` moves other images, labels and "
        "points by the transforms. Existing outputs are overwritten unless --skip-existing is "
        "given.",
    )
    parser.add_argument(
        "moving",
        nargs="?",
        metavar="MOVING",
        help="a file, a folder, a .txt list, or the folder of a BIDS data set, whose anatomical "
        "scans are taken",
    )
    parser.add_argument(
        "fixed",
        nargs="?",
        metavar="FIXED",
        help="a file, or as many as MOVING; for a BIDS data set, a file, another data set, or "
        "nothing: scans of a subject move to its first one, or as the suffixes say",
    )
    inputs = parser.add_argument_group("which pairs")
    inputs.add_argument(
        "--pairs",
        metavar="TABLE",
        help="instead of MOVING and FIXED: .tsv or .csv file with the columns moving and fixed, "
        "and name for what the outputs are called",
    )
    inputs.add_argument(
        "--moving-suffix",
        metavar="SUFFIX",
        help="in a BIDS data set, suffix of the moving scans, such as T1w (default: all others)",
    )
    inputs.add_argument(
        "--fixed-suffix",
        metavar="SUFFIX",
        help="likewise, of the fixed scans; the first of each session is taken",
    )
    outputs = parser.add_argument_group("outputs, a folder for several pairs")
    outputs.add_argument("-o", "--output", metavar="MOVED", help="MOVING on the grid of FIXED")
    outputs.add_argument("-O", "--inverse", metavar="MOVED", help="FIXED on the grid of MOVING")
    outputs.add_argument(
        "-t",
        "--trans",
        metavar="TRANS",
        help="transform that moves MOVING to FIXED: .lta, .mat or .txt of an affine or rigid one, "
        ".nii.gz of any; see synthtf apply --help",
    )
    outputs.add_argument(
        "-T", "--inverse-trans", metavar="TRANS", help="transform that moves FIXED to MOVING"
    )
    outputs.add_argument(
        "--figure",
        metavar="PNG",
        help="picture of both scans before and after, the deformation grid, and the Jacobian",
    )
    outputs.add_argument(
        "-H",
        "--header-only",
        action="store_true",
        help="change the header of outputs instead of their voxels; rigid and affine only",
    )
    outputs.add_argument(
        "-M",
        "--mid-space",
        action="store_true",
        help="move both, and make both transforms, to the space in the middle",
    )
    arguments.add_model(parser)
    parser.add_argument(
        "--affine",
        metavar="RUN",
        help="run of the kind affine or rigid, before a deformable one",
    )
    parser.add_argument(
        "-m",
        "--method",
        choices=METHODS,
        help="(default: rigid for two scans of one head, else what the model was trained for)",
    )
    parser.add_argument(
        "--labels",
        nargs=2,
        default=(),
        metavar=("MOVING", "FIXED"),
        help="label maps of a pair, whose mean Dice before and after is printed",
    )
    parser.add_argument(
        "-r",
        "--regularization",
        type=float,
        default=REGULARIZATION,
        metavar="LAMBDA",
        help="in (0, 1), the higher the smoother the warp (default: %(default)s)",
    )
    parser.add_argument(
        "-n",
        "--steps",
        type=int,
        default=STEPS,
        metavar="N",
        help=f"integration steps, at least {MIN_STEPS} (default: %(default)s)",
    )
    parser.add_argument("-i", "--init", metavar="TRANS", help="transform to start from")
    parser.add_argument(
        "--no-refine",
        dest="refine",
        action="store_false",
        help="what the networks find as it is, without aligning texture and structures after them",
    )
    parser.add_argument(
        "--ct",
        choices=["moving", "fixed", "both"],
        help="which scans are in Hounsfield units: clip them to 0-80",
    )
    arguments.add_cohort(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Register all pairs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import RegistrationOutputs, ScanPairs, register_cohort

    pairs = ScanPairs.of(
        args.moving,
        args.fixed,
        table=args.pairs,
        moving_suffix=args.moving_suffix,
        fixed_suffix=args.fixed_suffix,
    )
    outputs = RegistrationOutputs(
        moved=args.output,
        inverse=args.inverse,
        transform=args.trans,
        inverse_transform=args.inverse_trans,
        figure=args.figure,
        header_only=args.header_only,
        mid_space=args.mid_space,
    )
    outcome = register_cohort(
        pairs,
        outputs,
        args.model,
        affine=args.affine,
        labels=args.labels,
        init=args.init,
        method=args.method,
        regularization=args.regularization,
        steps=args.steps,
        refine=args.refine,
        ct=arguments.ct_scans(args.ct),
        options=arguments.cohort_options(args),
    )
    return arguments.told(outcome)
