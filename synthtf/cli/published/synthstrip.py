"""`synthtf-synthstrip`: the flags of `mri_synthstrip`."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthtf.cli.arguments import positive_integer
from synthtf.cli.published.command import add_model, memory_budget, run_command
from synthtf.version import __version__

if TYPE_CHECKING:
    from synthtf.batch import Outcome


def make_parser() -> argparse.ArgumentParser:
    """Parser of the command."""
    parser = argparse.ArgumentParser(
        prog="synthtf-synthstrip",
        description="Remove what is not brain from images of any contrast, as mri_synthstrip does.",
        epilog="Reference: Hoopes et al., SynthStrip: skull-stripping for any brain image, "
        "NeuroImage 206 (2022), 119474.",
    )
    parser.add_argument(
        "-i",
        "--image",
        required=True,
        metavar="FILE",
        help="image of one frame or several, a folder, or a .txt list",
    )
    parser.add_argument("-o", "--out", metavar="FILE", help="write the image without the rest")
    parser.add_argument("-m", "--mask", metavar="FILE", help="write the brain as 1")
    parser.add_argument(
        "-d", "--sdt", metavar="FILE", help="write the signed distance to the brain, in mm"
    )
    parser.add_argument(
        "-b",
        "--border",
        type=float,
        default=1,
        metavar="MM",
        help="of the mask around the brain (default: %(default)s)",
    )
    parser.add_argument(
        "-f",
        "--fill",
        type=float,
        metavar="X",
        help="value outside of the mask (default: 0, or the lowest value of the image below it)",
    )
    parser.add_argument(
        "--no-csf", action="store_true", help="leave out the CSF around the brain: other weights"
    )
    parser.add_argument("-g", "--gpu", action="store_true", help="use the GPU")
    parser.add_argument(
        *("-t", "--threads", "-n", "--num-threads"),
        type=positive_integer,
        metavar="N",
        help="processor cores to use (default: all)",
    )
    parser.add_argument(
        "-v", "--version", action="version", version=__version__, help="print synthtf's version"
    )
    add_model(parser, "synthstrip.1.pt or synthstrip.nocsf.1.pt")
    return parser


def run(args: argparse.Namespace) -> "Outcome":
    """Strip all inputs."""
    from synthtf.published.synthstrip.cohort import synthstrip

    return synthstrip(
        args.image,
        args.out,
        mask=args.mask,
        distance=args.sdt,
        model=args.model,
        csf=not args.no_csf,
        border=args.border,
        fill=args.fill,
        budget=memory_budget(args),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    return run_command(make_parser(), run, argv)
