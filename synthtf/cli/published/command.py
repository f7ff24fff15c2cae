"""What the commands of published tools share."""

import argparse
import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from synthtf.cli.main import FAILURE, INTERRUPTED, one_line_warnings
from synthtf.messages import describe, print_line
from synthtf.startup import hide_gpus, limit_threads

if TYPE_CHECKING:
    from synthtf.batch import Outcome
    from synthtf.inference.patches.memory import MemoryBudget

Call = Callable[[argparse.Namespace], "Outcome"]


def run_command(
    parser: argparse.ArgumentParser,
    call: Call,
    argv: Sequence[str] | None = None,
    empty: int = FAILURE,
) -> int:
    """Parse arguments and do what they say.

    Args:
        parser: with the attributes `threads` and `gpu` among its arguments, and perhaps `verbose`.
        call: takes the arguments, and does the work.
        argv: arguments; None for those of the process.
        empty: exit status if there is no argument at all.

    Returns:
        Exit status, as FreeSurfer's commands have it: 0 on success, 1 if an input failed, or if
        files are missing or do not fit. For unknown arguments argparse exits with 2.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv:
        parser.print_help()
        return empty
    args = parser.parse_args(argv)
    limit_threads(args.threads)
    if not args.gpu:
        hide_gpus()
    if getattr(args, "verbose", False):
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    with one_line_warnings():
        try:
            outcome = call(args)
        except KeyboardInterrupt:
            print_line(f"{parser.prog}: interrupted")
            return INTERRUPTED
        except (ValueError, OSError, MemoryError) as error:
            print_line(f"{parser.prog}: {describe(error)}")
            return FAILURE
    return outcome.status


def add_model(parser: argparse.ArgumentParser, names: str) -> None:
    """Add `--model` and `--max-memory`.

    Args:
        parser: gets them.
        names: of the files of weights.
    """
    parser.add_argument(
        "--model",
        metavar="FILE",
        help=f"published weights, {names}, or their folder (default: $SYNTHTF_MODELS, then "
        "$FREESURFER_HOME/models)",
    )
    parser.add_argument(
        "--max-memory",
        type=float,
        metavar="GB",
        help="hold no more than about this: large volumes go through the network in patches, with "
        "the result of the whole",
    )


def whole_word(text: str, words: Sequence[str]) -> str:
    """Give the word that a text is the beginning of, or the text if none or several are.

    Example:
        >>> whole_word("reg", ("register", "apply"))
        'register'
    """
    found = [word for word in words if word.startswith(text)]
    return found[0] if len(found) == 1 else text


def one_of(words: Sequence[str]) -> dict[str, object]:
    """What makes an argument one of some words, whose first letters will do."""
    return {
        "type": functools.partial(whole_word, words=words),
        "choices": words,
        "default": words[0],
        "help": "the first letters will do (default: %(default)s)",
    }


def cores(text: str) -> int | None:
    """Read a number of processor cores; None for all, as -1 means.

    Example:
        >>> cores("2"), cores("-1")
        (2, None)
    """
    return int(text) if int(text) > 0 else None


def is_gpu(text: str) -> bool:
    """Read the name of a device of PyTorch.

    Example:
        >>> is_gpu("cpu"), is_gpu("cuda:0")
        (False, True)
    """
    name = text.partition(":")[0]
    if name not in ("cpu", "cuda"):
        raise argparse.ArgumentTypeError(f"expected cpu or cuda, received {text!r}")
    return name == "cuda"


def memory_budget(args: argparse.Namespace) -> "MemoryBudget":
    """What `--max-memory` allows."""
    from synthtf.inference.patches.memory import MemoryBudget

    return MemoryBudget(None, args.max_memory)
