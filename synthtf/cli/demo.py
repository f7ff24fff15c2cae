"""`synthtf demo`: train and test a network in minutes, without data."""

import argparse

from synthtf.startup import load_backend
from synthtf.usage import usage_errors


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "demo",
        help="train and test a segmentation network in minutes; needs no data",
        description="Make label maps of phantom heads, synthesise images from them, train a 3D "
        "segmentation network on these, and test it on other heads in contrasts like T1, T2, "
        "FLAIR and CT. Takes about five minutes on two processor cores.",
    )
    parser.add_argument(
        "-o",
        "--output",
        default="./synthtf-demo",
        metavar="DIR",
        help="new folder to write to (default: %(default)s)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="of training, however long they take (default: as many as make the network good, "
        "about four minutes on two cores with nothing else to do)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="of training, with as many steps as they are enough for; with --steps, at most",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another seed, other heads and images"
    )


def run(args: argparse.Namespace) -> int:
    """Run the demonstration."""
    from synthtf.data.paths import output_folder

    with usage_errors():
        folder = output_folder(args.output, "--output")
    load_backend()
    from synthtf.demo import DemoSettings, run_demo

    with usage_errors():
        settings = DemoSettings(args.steps, args.minutes, args.seed)
    run_demo(folder, settings)
    return 0
