"""Doing the same for many files: one bad file never stops the others."""

import argparse
import datetime
import sys
import time
import traceback
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from synthtf.messages import describe, print_line

if TYPE_CHECKING:
    from synthtf.inference.cohorts.cohort import Cohort, Job

Item = TypeVar("Item")
_MOST_NAMES = 10  # of failed files in the summary; each has had its own line


def for_each_file(
    command: str,
    items: Sequence[Item],
    action: Callable[[Item], None],
    *,
    path: Callable[[Item], Path] = Path,
    debug: bool = False,
    skipped: int | None = None,
) -> int:
    """Call a function for each item, name the ones that fail, and go on.

    A progress bar with the time left is shown for several items on a terminal.

    Args:
        command: Subcommand, for the messages.
        items: What to work on.
        action: Called with each item.
        path: The file of an item, for the messages; by default the item itself.
        debug: Whether to show tracebacks.
        skipped: How many more items were left out. With it, several items end in a line that
            counts them, also when interrupted; None for no such line.

    Returns:
        How many failed.
    """
    from tqdm import tqdm

    failed: list[str] = []
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
                    failed.append(str(path(item)))
                    if debug:
                        traceback.print_exc()
                    message = describe(error).removeprefix(failed[-1]).lstrip(": ")
                    print_line(f"synthtf {command}: {failed[-1]}: {message}")
    finally:
        if skipped is not None and len(items) + skipped > 1:
            left = len(items) - done - len(failed)
            text = _summary(done, skipped, left, failed, time.monotonic() - start)
            print_line(f"synthtf {command}: {text}")
    return len(failed)


def process_cohort(
    args: argparse.Namespace,
    cohort: "Cohort",
    model: Path,
    prepare: Callable[[], Callable[["Job"], None]],
    table: Container[Path] | None = None,
) -> int:
    """Process the scans of a cohort, with `--skip-existing` those of which something is missing.

    Args:
        args: What the user gave.
        cohort: The scans and their outputs.
        model: Folder of the run; what another network made is not skipped.
        prepare: Loads the model and returns what processes a scan; not called if nothing is left.
        table: Scans with a row in the table, if one is written.

    Returns:
        Exit status: 1 if some failed.
    """
    jobs = cohort.unfinished(table, model) if args.skip_existing else cohort.jobs
    failed = for_each_file(
        args.command,
        jobs,
        prepare() if jobs else lambda job: None,
        path=lambda job: job.scan,
        debug=args.debug,
        skipped=len(cohort.jobs) - len(jobs),
    )
    return 1 if failed else 0


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
