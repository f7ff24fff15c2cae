"""`synthtf-synthsr`: the flags of `mri_synthsr` and `mri_synthsr_hyperfine`."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthtf.cli.arguments import positive_integer
from synthtf.cli.published.command import add_model, memory_budget, run_command

if TYPE_CHECKING:
    from synthtf.batch import Outcome


def make_parser() -> argparse.ArgumentParser:
    """Parser of the command."""
    parser = argparse.ArgumentParser(
        prog="synthtf-synthsr",
        description="Synthesise a T1 scan of 1 mm from scans of any contrast and resolution, as "
        "mri_synthsr does, or from T1 and T2 at low field, as mri_synthsr_hyperfine does.",
        epilog="Reference: Iglesias et al., SynthSR: a public AI tool to turn heterogeneous "
        "clinical brain scans into high-resolution T1-weighted images for 3D morphometry, Science "
        "Advances 9 (2023).",
    )
    flag = {"action": "store_true"}
    parser.add_argument("--i", metavar="IN", help="image, a folder, or a .txt list")
    parser.add_argument(
        "--o",
        metavar="OUT",
        help="synthetic scan; a folder for a folder, a .txt list for a list",
    )
    parser.add_argument("--ct", **flag, help="scans are in Hounsfield units: clip them to [0, 80]")
    parser.add_argument("--disable_sharpening", **flag, help="leave out the sharpening")
    parser.add_argument("--disable_flipping", **flag, help="leave out the mirrored scan")
    parser.add_argument("--lowfield", **flag, help="use the weights for low-field scans")
    parser.add_argument("--v1", **flag, help="use the weights of July 2021")
    parser.add_argument("--t1", metavar="T1", help="T1 at low field, as --i; with --t2 instead")
    parser.add_argument("--t2", metavar="T2", help="T2 as --t1, aligned by the header")
    parser.add_argument(
        "--threads",
        type=positive_integer,
        default=1,
        metavar="N",
        help="processor cores to use (default: %(default)s)",
    )
    parser.add_argument("--cpu", dest="gpu", action="store_false", help="use no GPU")
    add_model(parser, "such as synthsr_v20_230130.h5")
    return parser


def run(args: argparse.Namespace) -> "Outcome":
    """Super-resolve all inputs."""
    from synthtf.published.synthsr.cohort import Settings, synthsr, synthsr_pair

    given = tuple(name for name in ("i", "t1", "t2", "o") if getattr(args, name) is not None)
    if given not in (("i", "o"), ("t1", "t2", "o")):
        raise ValueError("expected --i and --o, or --t1, --t2 and --o")
    budget = memory_budget(args)
    if args.i is None:
        return synthsr_pair(args.t1, args.t2, args.o, model=args.model, budget=budget)
    settings = Settings(
        args.lowfield,
        args.v1,
        args.ct,
        not args.disable_sharpening,
        not args.disable_flipping,
        args.model,
        budget,
    )
    return synthsr(args.i, args.o, settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    return run_command(make_parser(), run, argv)
