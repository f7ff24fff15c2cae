"""`synthtf apply`: move images, label maps and points by a transform."""

import argparse

from synthtf.cli import arguments
from synthtf.data.delimited import COORDINATES
from synthtf.inference.defaults import FILL, INTERPOLATIONS

_DESCRIPTION = """\
Move images, label maps and points by one transform or several, with a single resampling.

TRANS  a transform: .lta (FreeSurfer), .txt or .tfm (ITK), .mat (FSL's FLIRT, or ANTs),
       .nii.gz or .nii (displacement field: RAS, or LPS of ITK and ANTs; field of positions
       of SPM or NiftyReg). Several are separated by commas, the one that the image passes
       first in front. With ":inverse" after its name, a transform is inverted:
       a.lta,b.nii.gz:inverse
IN     an image or a label map (.nii.gz, .nii, .mgz, .mgh), or a table of points (.csv,
       .tsv, .txt, Slicer's .fcsv: columns x, y, z, or R, A, S, or L, P, S, in mm, wherever
       they stand; all else of the table is kept). A line "# CoordinateSystem = LPS", or RAS,
       says which way x and y point; see --points
OUT    its result. Existing files are overwritten.

A transform takes the moving image, IN, to the fixed image, whose grid OUT has: that of
--like; without it, that of the fixed image as the file of the transform has it (.lta and
displacement fields do); else that of IN. Points move with the image: they are given in the
moving image and end in the fixed image."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "apply",
        help="move images, label maps and points by a transform",
        usage="%(prog)s [options] TRANS IN OUT [IN OUT ...]",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("transform", metavar="TRANS", help="transforms, separated by commas")
    parser.add_argument("files", nargs="+", metavar="IN OUT", help="what to move, and the result")
    parser.add_argument(
        "-m",
        "--method",
        choices=INTERPOLATIONS,
        default=INTERPOLATIONS[0],
        help="interpolation: linear for images (default), nearest for label maps, whose values "
        "it keeps; nothing is guessed from the files",
    )
    parser.add_argument("--like", metavar="REF", help="image whose grid the results have")
    parser.add_argument(
        "--inverse",
        action="store_true",
        help="invert the whole: move from the fixed to the moving image, which is then --like",
    )
    parser.add_argument(
        "--points",
        type=str.upper,
        choices=COORDINATES,
        help="coordinates of points whose table does not say (default: RAS; those of ANTs, with "
        "the columns x, y, z, t, mean LPS, and need this option)",
    )
    parser.add_argument(
        "--fill",
        type=float,
        default=FILL,
        metavar="X",
        help="value outside of IN (default %(default)g)",
    )


def run(args: argparse.Namespace) -> int:
    """Move all inputs; 1 if some failed."""
    from synthtf.inference import apply_to_files

    outcome = apply_to_files(
        args.transform,
        args.files,
        like=args.like,
        inverse=args.inverse,
        interpolation=args.method,
        fill=args.fill,
        points=args.points,
    )
    return arguments.told(outcome)
