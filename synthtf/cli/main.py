"""Entry point of the command `synthtf`."""

import argparse
import contextlib
import importlib
import logging
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence

from synthtf.messages import TRACEBACKS, describe, prepare_streams, print_line
from synthtf.startup import BackendError
from synthtf.usage import UsageError
from synthtf.version import __version__

COMMANDS = (
    "demo",
    "check",
    "synthesize",
    "train",
    "sweep",
    "stream",
    "segment",
    "strip",
    "register",
    "super-resolve",
    "correct",
    "features",
    "in-context",
    "instances",
    "inpaint",
    "change",
    "quality",
    "surfaces",
    "bids",
    "apply",
    "evaluate",
    "report",
    "invariance",
    "export",
    "view",
    "convert",
    "labels",
    "info",
)
"""Subcommands, each a module of `synthtf.cli` (a hyphen stands for an underscore)."""

SUCCESS, FAILURE, USAGE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141


def build_parser() -> argparse.ArgumentParser:
    """Parser of the command with all its subcommands."""
    parser = argparse.ArgumentParser(
        prog="synthtf",
        description="Train neuroimaging networks on synthetic images and use them on real scans.",
    )
    parser.add_argument("--version", action="version", version=f"synthtf {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        _module(command).add_parser(subparsers)
    for subparser in subparsers.choices.values():
        subparser.add_argument(
            "--debug", action="store_true", help="show the traceback of an error"
        )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Args:
        argv: Arguments after the name of the command; None for those of the process.

    Returns:
        Exit status: 0 on success, 1 if some inputs failed, 2 on wrong usage, 130
        if interrupted, 141 if nobody read the output to its end.
    """
    prepare_streams()
    # It tells at length of a home folder that cannot be written.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        os.getcwd()
    except FileNotFoundError:
        print_line("synthtf: the current folder was deleted; change to another")
        return USAGE
    args = build_parser().parse_args(argv)
    args.command_line = shlex.join(["synthtf", *(sys.argv[1:] if argv is None else argv)])
    TRACEBACKS.set(args.debug)
    with one_line_warnings():
        try:
            status = _module(args.command).run(args)
            sys.stdout.flush()
            return status
        except BrokenPipeError:
            # Whoever read the output has left, as `head` does: what is left to say goes nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BROKEN_PIPE
        except KeyboardInterrupt:
            print_line(f"synthtf {args.command}: interrupted")
            return INTERRUPTED
        except (ValueError, OSError, MemoryError, BackendError) as error:
            if args.debug:
                traceback.print_exc()
            print_line(f"synthtf {args.command}: {describe(error)}")
            return USAGE if isinstance(error, UsageError) else FAILURE


def _module(command: str) -> object:
    return importlib.import_module(f"synthtf.cli.{command.replace('-', '_')}")


@contextlib.contextmanager
def one_line_warnings() -> Iterator[None]:
    """Show warnings for users in one line each, and no others."""
    with warnings.catch_warnings():
        # Warnings for users are shown each time; those for developers are not.
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_: print_line(f"warning: {message}")
        yield


if __name__ == "__main__":
    sys.exit(main())
