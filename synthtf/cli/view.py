"""`synthtf view`: a scan, and labels over it, in the browser."""

import argparse
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "view",
        help="show a scan, and labels over it, in the browser",
        description="Show a scan, and labels over it, in the browser of this machine, or serve the "
        "page of `synthtf export --format web`. Nothing leaves the machine. The viewer, niivue, is "
        "fetched once. Ends with Ctrl-C.",
    )
    parser.add_argument(
        "scan", metavar="SCAN", help="the scan, or a folder of synthtf export --format web"
    )
    parser.add_argument("labels", metavar="LABELS", nargs="?", help="labels on the scan's grid")
    parser.add_argument("--table", metavar="TSV", help="label table (default: that of heads-2mm)")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port (default: any that is free)"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address, and open nothing"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from synthtf.inference.page.viewing import view

    labels = None if args.labels is None else Path(args.labels)
    view(Path(args.scan), labels, args.table, args.port, browser=not args.no_browser)
    return 0
