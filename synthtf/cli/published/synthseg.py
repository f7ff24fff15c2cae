"""`synthtf-synthseg`: the flags of `mri_synthseg`."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthtf.cli.published.command import add_model, cores, memory_budget, run_command

if TYPE_CHECKING:
    from synthtf.batch import Outcome


def make_parser() -> argparse.ArgumentParser:
    """Parser of the command."""
    parser = argparse.ArgumentParser(
        prog="synthtf-synthseg",
        description="Segment brain scans of any contrast and resolution, as mri_synthseg does. "
        "Without published weights, the network that comes with synthtf does it, and the first "
        "line that is printed says so.",
        epilog="Reference: Billot et al., SynthSeg: segmentation of brain MRI scans of any "
        "contrast and resolution without retraining, Medical Image Analysis 2023.",
    )
    parser.add_argument(
        "--i",
        metavar="IN",
        help="image to segment, a folder of images, or a .txt list with one path a line",
    )
    parser.add_argument(
        "--o",
        metavar="OUT",
        help="segmentation; a folder for a folder, a .txt list for a list",
    )
    flag = {"action": "store_true"}
    parser.add_argument("--parc", **flag, help="parcellate the cortex")
    parser.add_argument(
        "--robust", **flag, help="use SynthSeg-robust, for scans of bad quality; it sets --fast"
    )
    parser.add_argument(
        "--fast", **flag, help="leave out the mirrored scan and the topology of structures"
    )
    parser.add_argument("--ct", **flag, help="scans are in Hounsfield units: clip them to [0, 80]")
    parser.add_argument("--vol", metavar="CSV", help="write the volumes of all structures, in mm3")
    parser.add_argument("--qc", metavar="CSV", help="write scores of the quality of the result")
    parser.add_argument("--post", metavar="OUT", help="write posteriors; as --o")
    parser.add_argument(
        "--resample", metavar="OUT", help="write scans that were resampled to 1 mm; as --o"
    )
    parser.add_argument(
        "--crop",
        nargs="+",
        type=int,
        metavar="N",
        help="look at a patch of this size in the centre only; one size or three",
    )
    parser.add_argument("--autocrop", **flag, help="leave out the background around the head")
    parser.add_argument(
        "--threads",
        type=cores,
        default=1,
        metavar="N",
        help="processor cores to use; all if below 1 (default: %(default)s)",
    )
    parser.add_argument("--cpu", dest="gpu", action="store_false", help="use no GPU")
    parser.add_argument("--v1", **flag, help="use SynthSeg 1.0")
    parser.add_argument("--keepgeom", **flag, help="bring segmentations to the grid of the scan")
    parser.add_argument(
        "--addctab", **flag, help="put FreeSurfer's colours into the file of the segmentation"
    )
    parser.add_argument("--noaddctab", **flag, help="leave the colours out, as is the default")
    parser.add_argument(
        "--photo",
        metavar="SIDE",
        help="segment a stack of photographs that shows the left, right or both hemispheres",
    )
    add_model(parser, "such as synthseg_2.0.h5")
    return parser


def run(args: argparse.Namespace) -> "Outcome":
    """Segment all inputs."""
    from synthtf.published.synthseg.cohort import Settings, synthseg
    from synthtf.published.synthseg.preparing import Preparation

    if args.i is None or args.o is None:
        raise ValueError("give an input (--i) and an output (--o): a file or a folder each")
    targets = {
        "segmentation": args.o,
        "posteriors": args.post,
        "resampled": args.resample,
        "volumes": args.vol,
        "quality": args.qc,
    }
    settings = Settings(
        args.v1,
        args.robust,
        args.parc,
        args.fast,
        args.photo,
        Preparation(args.ct, args.crop, args.autocrop),
        args.keepgeom,
        args.addctab and not args.noaddctab,
        args.model,
        memory_budget(args),
    )
    return synthseg(args.i, targets, settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    return run_command(make_parser(), run, argv)
