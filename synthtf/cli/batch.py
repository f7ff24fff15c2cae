"""Doing the same for many files: one bad file never stops the others."""

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from synthtf.cli.messages import describe, print_line

Item = TypeVar("Item")


def for_each_file(
    command: str,
    items: Sequence[Item],
    action: Callable[[Item], None],
    *,
    path: Callable[[Item], Path] = Path,
    debug: bool = False,
) -> int:
    """Call a function for each item, name the ones that fail, and go on.

    A progress bar is shown for several items on a terminal.

    Args:
        command: Subcommand, for the messages.
        items: What to work on.
        action: Called with each item.
        path: The file of an item, for the messages; by default the item itself.
        debug: Whether to show tracebacks.

    Returns:
        How many failed.
    """
    from tqdm import tqdm

    failed = 0
    for item in tqdm(items, unit="scan", file=sys.stderr, disable=None if len(items) > 1 else True):
        try:
            action(item)
        # Whatever goes wrong with one file, the others are still wanted.
        except Exception as error:
            failed += 1
            if debug:
                traceback.print_exc()
            name = str(path(item))
            message = describe(error).removeprefix(name).lstrip(": ")
            print_line(f"synthtf {command}: {name}: {message}")
    return failed
