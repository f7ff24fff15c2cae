"""Arguments that several subcommands share, and what follows from them."""

import argparse
from pathlib import Path

from synthtf.cli.usage import UsageError


def add_input(parser: argparse.ArgumentParser, *, what: str) -> None:
    """Add the input, as a positional argument or `-i`."""
    parser.add_argument(
        "input",
        nargs="?",
        metavar="IN",
        help=f"{what}: a file, a folder, a .txt list of files, or the folder of a BIDS data set, "
        "whose anatomical scans are taken",
    )
    parser.add_argument("-i", "--input", dest="input_option", metavar="IN", help=argparse.SUPPRESS)


def add_input_output(parser: argparse.ArgumentParser, *, what: str) -> None:
    """Add the input and the output `-o`."""
    add_input(parser, what=what)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="a file for a file; a folder, or a .txt list, for a folder or a list; a folder, which "
        "becomes a BIDS data set of derivatives, for a BIDS data set",
    )


def add_cohort(parser: argparse.ArgumentParser) -> None:
    """Add `--skip-existing` and `--no-sidecar`: how many scans are processed."""
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out scans whose outputs all exist, to go on after an interruption",
    )
    parser.add_argument(
        "--no-sidecar",
        dest="sidecars",
        action="store_false",
        help="write no JSON file beside each output, which says where it comes from (scan, model, "
        "command, warnings)",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add `--model`, the run whose network is used on scans."""
    parser.add_argument(
        "--model", required=True, metavar="RUN", help="folder of a training run (synthtf train)"
    )


def add_prediction(parser: argparse.ArgumentParser) -> None:
    """Add `--ct` and `--no-flip`: how a network of one image is used."""
    parser.add_argument(
        "--ct", action="store_true", help="scans are in Hounsfield units: clip them to 0-80"
    )
    parser.add_argument(
        "--no-flip",
        dest="flip",
        action="store_false",
        help="do not average with the left-right mirrored scan: twice as fast, less accurate",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add `--threads`."""
    parser.add_argument(
        "--threads", type=positive_integer, metavar="N", help="processor cores to use (default all)"
    )


def positive_integer(text: str) -> int:
    """An integer of at least one, for `argparse`.

    Example:
        >>> positive_integer("2")
        2
    """
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, received {text!r}")
    return value


def chosen_input(args: argparse.Namespace) -> str:
    """The input, however it was given.

    Raises:
        UsageError: If it was given twice or not at all.
    """
    given = [value for value in (args.input, args.input_option) if value is not None]
    if len(given) != 1:
        raise UsageError(
            "expected one input, as IN or as -i IN. "
            f"Received {len(given)}{': ' + ', '.join(given) if given else ''}"
        )
    return given[0]


def existing_folder(path: str, argument: str) -> Path:
    """A folder that exists.

    Raises:
        UsageError: If it is missing or a file.
    """
    folder = Path(path)
    if not folder.exists():
        raise UsageError(f"{argument}: no such folder: {path}")
    if not folder.is_dir():
        raise UsageError(f"{argument}: expected a folder, received a file: {path}")
    return folder


def writable_file(path: str | None, argument: str) -> Path | None:
    """A file that could be written, or None if none is asked for.

    Raises:
        UsageError: If it is a folder, or its folder is missing.
    """
    if path is None:
        return None
    file = Path(path)
    if file.is_dir():
        raise UsageError(f"{argument}: expected a file, received a folder: {path}")
    if not file.parent.is_dir():
        raise UsageError(f"{argument}: no such folder: {file.parent}")
    if extension(file):  # most likely a scan, which must not be lost
        raise UsageError(f"{argument}: expected another ending than that of a volume: {path}")
    return file


def output_folder(path: str, argument: str) -> Path:
    """A folder to write to; it may be made later.

    Raises:
        UsageError: If it is a file.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{argument}: expected a folder, received a file: {path}")
    return folder
