"""`synthtf convert`: published weights into a Keras model."""

import argparse

from synthtf.interop.converting import KINDS


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "convert",
        help="convert published weights of VoxelMorph, SynthSeg, SynthStrip and others",
        description="Convert published weights into a Keras model, whose size follows from the "
        "file: .h5 files of VoxelMorph, SynthMorph, SynthSeg and SynthSR, and PyTorch state dicts "
        "of VoxelMorph, SynthStrip and WMH-SynthSeg. An existing output is overwritten.",
    )
    parser.add_argument("weights", metavar="WEIGHTS", help="file of weights, .h5 or .pt")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="the model, a .keras file"
    )
    parser.add_argument(
        "--kind", choices=KINDS, help="what the weights are of (default: as the file suggests)"
    )


def run(args: argparse.Namespace) -> int:
    """Convert one file."""
    from synthtf.interop.converting import convert_weights

    print(convert_weights(args.weights, args.output, args.kind))
    return 0
