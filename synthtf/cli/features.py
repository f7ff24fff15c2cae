"""`synthtf features`: give the voxels of scans features that do not depend on the contrast."""

import argparse

from synthtf.cli import arguments
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "features",
        help="give each voxel of scans features that do not depend on the contrast",
        description="Write the features that a network (synthtf train contrastive) gives each "
        "voxel of scans of any contrast, orientation and resolution, as frames of one file, at the "
        "resolution of the network and in RAS orientation. Existing outputs are overwritten unless "
        "--skip-existing is given.",
    )
    arguments.add_input_output(parser, what="scans")
    arguments.add_model(parser)
    arguments.add_prediction(parser, flip=False)
    arguments.add_cohort(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Give all inputs features; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import features_cohort

    outcome = features_cohort(
        arguments.chosen_input(args),
        args.output,
        args.model,
        ct=args.ct,
        budget=arguments.memory_budget(args),
        options=arguments.cohort_options(args),
    )
    return arguments.told(outcome)
