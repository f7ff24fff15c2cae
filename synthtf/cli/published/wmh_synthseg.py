"""`synthtf-wmh-synthseg`: the flags of `mri_WMHsynthseg`."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthtf.cli.published.command import add_model, cores, is_gpu, memory_budget, run_command

if TYPE_CHECKING:
    from synthtf.batch import Outcome


def make_parser() -> argparse.ArgumentParser:
    """Parser of the command."""
    parser = argparse.ArgumentParser(
        prog="synthtf-wmh-synthseg",
        description="Segment anatomy and white matter hyperintensities in scans of any contrast "
        "and resolution, as mri_WMHsynthseg does.",
        epilog="Reference: Laso et al., Quantifying white matter hyperintensity and brain volumes "
        "in heterogeneous clinical and low-field portable MRI, ISBI 2024.",
    )
    parser.add_argument("--i", required=True, metavar="IN", help="image or folder")
    parser.add_argument(
        "--o", required=True, metavar="OUT", help="segmentation; a folder for a folder"
    )
    parser.add_argument("--csv_vols", metavar="CSV", help="write the volumes of all structures")
    parser.add_argument(
        "--device",
        dest="gpu",
        type=is_gpu,
        default="cpu",
        metavar="DEVICE",
        help="cpu, or cuda for the GPU (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        type=cores,
        default=1,
        metavar="N",
        help="processor cores to use; -1 for all (default: %(default)s)",
    )
    parser.add_argument(
        "--save_lesion_probabilities",
        action="store_true",
        help="write the probability of lesions, as OUT.lesion_probs.nii.gz",
    )
    parser.add_argument(
        "--crop",
        action="store_true",
        help="find the brain first, and look at 192 x 224 x 192 mm around it only",
    )
    add_model(parser, "WMH-SynthSeg_v10_231110.pth")
    return parser


def run(args: argparse.Namespace) -> "Outcome":
    """Segment all inputs."""
    from synthtf.published.wmh_synthseg.cohort import wmh_synthseg

    return wmh_synthseg(
        args.i,
        args.o,
        volumes=args.csv_vols,
        lesions=args.save_lesion_probabilities,
        crop=args.crop,
        model=args.model,
        budget=memory_budget(args),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    return run_command(make_parser(), run, argv)
