"""`synthtf export`: a trained network in a format that runs without synthtf."""

import argparse

_FORMATS = ("savedmodel", "onnx", "litert", "web")


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "export",
        help="write a trained network as a SavedModel, for ONNX, LiteRT or the browser",
        description="Write the network of a run in a format that runs without synthtf and Keras, "
        "for images of any size. network.json and labels.tsv beside it say what it expects and "
        "returns. An earlier export is replaced. The format web is a folder whose page segments "
        "scans in the browser; a web server must serve it, such as `synthtf view`.",
    )
    parser.add_argument("run", metavar="RUN", help="folder of a training run, or name of a model")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--format", choices=_FORMATS, default="savedmodel", help="(default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Export one network."""
    from synthtf.inference import export_model

    path = export_model(args.run, args.output, args.format)
    print(f"{path}: {args.format}")
    return 0
