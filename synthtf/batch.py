"""Doing the same for many files: one bad file never stops the others."""

import datetime
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from synthtf.messages import TRACEBACKS, describe, print_line

Item = TypeVar("Item")
_MOST_NAMES = 10  # of failed files in the summary; each has had its own line


@dataclass(frozen=True)
class Outcome:
    """What became of many files.

    Attributes:
        done: how many were processed.
        skipped: how many were left out, since their outputs exist.
        failures: name of a file and why it failed, for each that did.
        text: what was found, to be read; empty where files say it.
    """

    done: int
    skipped: int = 0
    failures: tuple[tuple[str, str], ...] = ()
    text: str = ""

    @property
    def status(self) -> int:
        """Exit status of a command: 1 if some failed."""
        return 1 if self.failures else 0


def for_each_file(
    command: str,
    items: Sequence[Item],
    action: Callable[[Item], None],
    *,
    name: Callable[[Item], str | Path] = str,
    skipped: int | None = None,
) -> Outcome:
    """Call a function for each item, name the ones that fail, and go on.

    A progress bar with the time left is shown for several items on a terminal.

    Args:
        command: subcommand, for the messages.
        items: what to work on.
        action: called with each item.
        name: gives the name of an item for the messages; by default the item itself.
        skipped: how many more items were left out. With it, several items end in a line that
            counts them, also when interrupted; None for no such line.

    Returns:
        The counts, and the failures.
    """
    from tqdm import tqdm

    failures: list[tuple[str, str]] = []
    done, start = 0, time.monotonic()
    hidden = None if len(items) > 1 else True
    try:
        with tqdm(items, unit="scan", file=sys.stderr, disable=hidden) as bar:
            for item in bar:
                try:
                    action(item)
                    done += 1
                # Whatever goes wrong with one file, the others are still wanted.
                except Exception as error:
                    if TRACEBACKS.get():
                        traceback.print_exc()
                    failed = str(name(item))
                    failures.append((failed, describe(error).removeprefix(failed).lstrip(":, ")))
                    print_line(f"synthtf {command}: {': '.join(failures[-1])}")
    finally:
        if skipped is not None and len(items) + skipped > 1:
            left = len(items) - done - len(failures)
            names = [failed for failed, _ in failures]
            text = _summary(done, skipped, left, names, time.monotonic() - start)
            print_line(f"synthtf {command}: {text}")
    return Outcome(done, skipped or 0, tuple(failures))


def _summary(done: int, skipped: int, left: int, failed: Sequence[str], seconds: float) -> str:
    """Count what happened.

    Example:
        >>> _summary(12, 2, 0, ["x.nii", "y.nii"], 200.0)
        '12 done, 2 skipped, 2 failed in 3:20; failed: x.nii, y.nii'
    """
    counts = {"done": done, "skipped": skipped, "failed": len(failed), "left": left}
    shown = [f"{n} {name}" for name, n in counts.items() if n or name in ("done", "failed")]
    duration = str(datetime.timedelta(seconds=round(seconds))).removeprefix("0:").removeprefix("0")
    text = f"{', '.join(shown)} in {duration}"
    if not failed:
        return text
    more = f" and {len(failed) - _MOST_NAMES} more" if len(failed) > _MOST_NAMES else ""
    return f"{text}; failed: {', '.join(failed[:_MOST_NAMES])}{more}"
