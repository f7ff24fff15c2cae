"""`synthtf-synthmorph`: the flags of `mri_synthmorph`."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthtf.cli.arguments import positive_integer
from synthtf.cli.published.command import (
    add_model,
    memory_budget,
    one_of,
    run_command,
    whole_word,
)
from synthtf.inference.defaults import MIN_STEPS, REGULARIZATION, STEPS
from synthtf.published.synthmorph.defaults import EXTENT, METHODS, MODELS, TYPES

if TYPE_CHECKING:
    from synthtf.batch import Outcome

_COMMANDS = ("register", "apply")


def make_parser() -> argparse.ArgumentParser:
    """Parser of `register`, which `main` takes if none is said, and of `apply`."""
    parser = argparse.ArgumentParser(
        prog="synthtf-synthmorph",
        description="Register brain images of any contrast and resolution, with or without skull, "
        "as mri_synthmorph does. Without a command, register is meant.",
        epilog="Reference: Hoffmann et al., Anatomy-aware and acquisition-agnostic joint "
        "registration with SynthMorph, Imaging Neuroscience 2 (2024), 1-33.",
    )
    parser.set_defaults(gpu=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="register|apply")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "-j", dest="threads", type=positive_integer, metavar="N", help="processor cores to use"
    )

    apply = commands.add_parser(
        "apply",
        parents=[shared],
        help="move images by a transform",
        description="Move images by a transform, to the grid of its fixed image.",
    )
    add = apply.add_argument
    add("trans", help="transform from register: .lta, .nii.gz or .mgz")
    add("files", nargs="+", metavar="image output", help="image of any number of frames, output")
    add("-H", dest="header_only", action="store_true", help="change the headers; with a matrix")
    add("-m", dest="method", **one_of(METHODS))
    add("-t", dest="type", choices=TYPES, default=TYPES[-1], help="(default: %(default)s)")
    add(
        "-f",
        dest="fill",
        type=float,
        default=0,
        metavar="X",
        help="value outside of the image (default: %(default)s)",
    )

    register = commands.add_parser(
        "register",
        parents=[shared],
        help="register two images, and write the moved ones and the transforms",
        description="Register two images, and write the moved ones and the transforms.",
    )
    add = register.add_argument
    add("moving", help="image of one frame")
    add("fixed", help="image of one frame, to move to")
    add("-m", dest="mode", **one_of(MODELS))
    add("-o", dest="moved", metavar="IMAGE", help="write the moving image, moved to the fixed one")
    add("-O", dest="fixed_moved", metavar="IMAGE", help="write the fixed image, moved")
    add(
        "-H",
        dest="header_only",
        action="store_true",
        help="change the headers of moved images instead of resampling; -m affine or rigid only",
    )
    add(
        "-t",
        dest="trans",
        metavar="TRANS",
        help="write the transform that moves the moving image: .lta of a matrix; .nii.gz or .mgz "
        "of a deformation, displacements in mm, RAS",
    )
    add("-T", dest="inverse", metavar="TRANS", help="write the transform that moves the fixed one")
    add("-i", dest="init", metavar="LTA", help="affine transform to start from")
    add(
        "-M",
        dest="mid_space",
        action="store_true",
        help="apply half of the initial transform to each image; with -i",
    )
    add(
        "-r",
        dest="regularization",
        type=float,
        default=REGULARIZATION,
        metavar="LAMBDA",
        help="in (0, 1), the higher the smoother the deformation (default: %(default)s)",
    )
    add(
        "-n",
        dest="steps",
        type=int,
        default=STEPS,
        metavar="N",
        help=f"integration steps, at least {MIN_STEPS} (default: %(default)s)",
    )
    add(
        "-e",
        dest="extent",
        type=positive_integer,
        default=EXTENT,
        metavar="N",
        help="mm and voxels per axis that the network sees, such as 192 (default: %(default)s)",
    )
    add(
        "-w",
        dest="weights",
        action="append",
        default=[],
        metavar="FILE",
        help="weights; give it twice for -m joint",
    )
    add("-d", dest="seen", metavar="FOLDER", help="write the images that the network sees there")
    add("-g", dest="gpu", action="store_true", help="use the GPU")
    add("-v", dest="verbose", action="store_true", help="show the messages of TensorFlow")
    add_model(register, "synthmorph.affine.2.h5, .rigid.1.h5 or .deform.3.h5")
    return parser


def run(args: argparse.Namespace) -> "Outcome":
    """Register a pair, or move images."""
    if args.command == "apply":
        from synthtf.published.synthmorph.applying import apply_trans

        how = {
            "method": args.method,
            "dtype": args.type,
            "fill": args.fill,
            "header_only": args.header_only,
        }
        return apply_trans(args.trans, args.files[::2], args.files[1::2], **how)
    from synthtf.published.synthmorph.running import Outputs, Settings, synthmorph

    outputs = Outputs(
        args.moved, args.fixed_moved, args.trans, args.inverse, args.seen, args.header_only
    )
    settings = Settings(
        model=args.mode,
        weights=[*args.weights, *([args.model] if args.model else [])],
        init=args.init,
        mid_space=args.mid_space,
        regularization=args.regularization,
        steps=args.steps,
        extent=args.extent,
        budget=memory_budget(args),
    )
    return synthmorph(args.moving, args.fixed, outputs, settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv:
        argv[0] = whole_word(argv[0], _COMMANDS)
    if argv and argv[0] not in (*_COMMANDS, "-h", "--help"):
        argv = ["register", *argv]
    return run_command(make_parser(), run, argv, empty=0)
