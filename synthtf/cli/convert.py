"""`synthtf convert`: published weights into a Keras model."""

import argparse

from synthtf.cli.arguments import writable_file
from synthtf.startup import load_backend
from synthtf.usage import UsageError

_KINDS = ("voxelmorph", "synthseg")


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "convert",
        help="convert published weights of VoxelMorph, SynthMorph or SynthSeg",
        description="Convert published weights into a Keras model, whose size follows from the "
        "file: .h5 files of VoxelMorph, SynthMorph and SynthSeg, and PyTorch state dicts of "
        "VoxelMorph. An existing output is overwritten.",
    )
    parser.add_argument("weights", metavar="WEIGHTS", help="file of weights, .h5 or .pt")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="the model, a .keras file"
    )
    parser.add_argument(
        "--kind", choices=_KINDS, help="what the weights are of (default: as the file suggests)"
    )


def run(args: argparse.Namespace) -> int:
    """Convert one file."""
    output = writable_file(args.output, "-o")
    if output.suffix != ".keras":
        raise UsageError(f"-o: expected a file with the extension .keras, received {args.output}")
    load_backend()
    from synthtf.interop.published import load_published

    model = load_published(args.weights, args.kind)
    model.save(output)
    print(f"{output}: {model.name}, {model.count_params():,} weights")
    return 0
