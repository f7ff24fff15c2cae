"""Numbered steps with the time that each takes, as the demonstration prints them."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO


class Steps:
    """Prints the title of each step, indented lines about it, and how long it took.

    Args:
        total: Number of steps.
        stream: Where to print; the standard output if None.

    Example:
        >>> steps = Steps(2)
        >>> with steps.step("Make a head"):
        ...     steps.say("it has two ears")
        <BLANKLINE>
        [1/2] Make a head
              it has two ears
              done in 0 s
    """

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.total = total
        self.number = 0
        self._stream = stream
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the first step could begin."""
        return time.monotonic() - self._start

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Print the title before the block and its time after it."""
        self.number += 1
        start = time.monotonic()
        self._print(f"\n[{self.number}/{self.total}] {title}")
        yield
        self.say(f"done in {readable(time.monotonic() - start)}")

    def say(self, text: str) -> None:
        """Print lines below the title of the current step."""
        indent = " " * len(f"[{self.number}/{self.total}] ")
        for line in text.splitlines():
            self._print(f"{indent}{line}".rstrip())

    def _print(self, line: str) -> None:
        # Looked up now: tests and notebooks replace it. Flushed: a pipe shows each step at once.
        print(line, file=self._stream or sys.stdout, flush=True)


def readable(seconds: float) -> str:
    """Seconds as text.

    Example:
        >>> readable(9.6), readable(252)
        ('10 s', '4 min 12 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
