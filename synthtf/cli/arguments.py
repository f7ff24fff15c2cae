"""Arguments that several subcommands share, and what follows from them."""

import argparse
from typing import TYPE_CHECKING

from synthtf.usage import UsageError, usage_errors

if TYPE_CHECKING:
    from synthtf.batch import Outcome
    from synthtf.inference.cohorts.jobs import CohortOptions
    from synthtf.inference.components import Cleaning
    from synthtf.inference.patches.memory import MemoryBudget


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
    add_skip_existing(parser)
    parser.add_argument(
        "--no-sidecar",
        dest="sidecars",
        action="store_false",
        help="write no JSON file beside each output, which says where it comes from (scan, model, "
        "command, warnings)",
    )


def add_skip_existing(parser: argparse.ArgumentParser) -> None:
    """Add `--skip-existing`."""
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out scans whose outputs of this model all exist, to go on where it stopped",
    )


def add_model(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Add `--model`, the run whose network is used on scans, or `several` of an ensemble."""
    parser.add_argument(
        "--model",
        action="append" if several else "store",
        metavar="RUN",
        help="folder of a training run (synthtf train), or the name of a model that comes with "
        "the package (default: the one for this task)"
        + "; given more than once, an ensemble, whose posteriors are averaged"
        * several,
    )


def add_prediction(parser: argparse.ArgumentParser, *, flip: bool = True) -> None:
    """Add `--ct`, the flags of memory, and `--no-flip` if there is an average: how it is used."""
    parser.add_argument(
        "--ct", action="store_true", help="scans are in Hounsfield units: clip them to 0-80"
    )
    if flip:
        parser.add_argument(
            "--no-flip",
            dest="flip",
            action="store_false",
            help="do not average with the left-right mirrored scan: twice as fast, less accurate",
        )
    add_memory(parser)


def add_memory(parser: argparse.ArgumentParser) -> None:
    """Add `--patch` and `--max-memory`."""
    memory = parser.add_argument_group(
        "memory",
        "Needs are estimated before work begins. Patches give the results of the whole scan, "
        "also where a network normalises by statistics of the whole image, and take longer.",
    )
    memory.add_argument(
        "--patch",
        type=_patch,
        metavar="N",
        help="apply the fine levels of the network to patches of N voxels, such as 64 or 64x64x48",
    )
    memory.add_argument(
        "--max-memory",
        type=float,
        metavar="GB",
        help="hold no more than about this; without --patch, in the largest patches that fit",
    )


def memory_budget(args: argparse.Namespace) -> "MemoryBudget":
    """What `--patch` and `--max-memory` allow; what is needed becomes a line on standard error.

    Raises:
        UsageError: If there are neither one nor three sizes, or the limit is not positive.
    """
    from synthtf.inference.patches.memory import MemoryBudget
    from synthtf.messages import print_line

    try:
        return MemoryBudget(
            args.patch, args.max_memory, lambda line: print_line(f"synthtf {args.command}: {line}")
        )
    except ValueError as error:
        raise UsageError(f"--patch, --max-memory: {error}") from None


def cleaning(args: argparse.Namespace) -> "Cleaning":
    """What `--min-size` asks for.

    Raises:
        UsageError: If it is negative.
    """
    from synthtf.inference.components import Cleaning

    with usage_errors():
        return Cleaning(minimum_size=args.min_size)


def cohort_options(args: argparse.Namespace) -> "CohortOptions":
    """What `--skip-existing` and `--no-sidecar` say, and the command line for the JSON files."""
    from synthtf.inference.cohorts.jobs import CohortOptions

    return CohortOptions(args.sidecars, args.skip_existing, args.command_line)


def told(outcome: "Outcome") -> int:
    """Print what was found, and return the exit status."""
    if outcome.text:
        print(outcome.text)
    return outcome.status


def ct_scans(text: str | None) -> tuple[str, ...]:
    """Which scans of a pair `--ct` means.

    Example:
        >>> ct_scans("both")
        ('moving', 'fixed')
    """
    return ("moving", "fixed") if text == "both" else (text,) if text else ()


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add `--threads`."""
    parser.add_argument(
        "--threads", type=positive_integer, metavar="N", help="processor cores to use (default all)"
    )


def _patch(text: str) -> int | list[int]:
    """Read one size or several.

    Example:
        >>> _patch("64x64x48")
        [64, 64, 48]
    """
    sizes = [positive_integer(part) for part in text.split("x")]
    return sizes[0] if len(sizes) == 1 else sizes


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


def key_part(text: str) -> int:
    """A seed or the number of a sample, for `argparse`.

    Example:
        >>> key_part("0")
        0
    """
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"expected an integer in [0, 2^31), received {text!r}")
    return int(text)


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
