"""`synthtf synthesize`: synthetic images from label maps, to look at."""

import argparse

from synthtf.cli import arguments, plans


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "synthesize",
        help="write synthetic images made from label maps, and a picture of them",
        description="Write the images that a network would be trained on: for each sample an "
        "image and its label map in RAS orientation, and sheet.png with all of them. Look at it "
        "before each training. Existing outputs are overwritten.",
    )
    plans.add_maps(parser)
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "-n",
        "--num",
        type=arguments.positive_integer,
        metavar="N",
        help="number of samples (default: 20, or 4 with --vary)",
    )
    parser.add_argument(
        "--replay",
        type=arguments.key_part,
        nargs=2,
        metavar=("SEED", "NUMBER"),
        help="write only this sample: that of a training with the same maps, --recipe, --labels, "
        "--shape and --spacing, such as one that guard.csv of the run lists",
    )
    parser.add_argument(
        "--vary",
        metavar="STEP.RANGE",
        help="write only vary_STEP.RANGE.png: samples in rows, and along each row this range of "
        "the recipe, such as bias.drop, from low to high; all else stays the same",
    )
    parser.add_argument(
        "--extremes",
        action="store_true",
        help="take the largest value of every range, to see the strongest effects",
    )
    real = ("real", "real_share", "real_remapping")
    only = ("labels", "recipe", "scans", *real, "spacing", "shape", "seed")
    plans.add_plan(parser, [], only=only)


def run(args: argparse.Namespace) -> int:
    """Write the samples; 1 if some label maps could not be used."""
    paths, folder = plans.maps_of(args), plans.folder_of(args)
    plan = plans.plan_of(args)
    from synthtf.training.samples import synthesize_samples

    outcome = synthesize_samples(
        paths,
        folder,
        plan,
        num=args.num,
        replay=args.replay,
        vary=args.vary,
        extremes=args.extremes,
    )
    return arguments.told(outcome)
