"""Threads that prepare the next batches while the current one is trained on."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class ReadAhead:
    """Load the item of a number, and in threads the items of the next numbers.

    The result depends on the number alone, never on the threads. Where numbers do not follow each
    other (a shuffled epoch, a replay), nothing is read ahead.

    Args:
        load: takes a number and returns its item.
        step: distance between consecutive numbers.
        workers: number of threads, and of items to read ahead. Default 1: no thread.
    """

    def __init__(self, load: Callable[[int], Any], step: int, workers: int = 1) -> None:
        """Prepare the threads, without starting any."""
        self._load, self._step, self._workers = load, step, workers
        self._executor = ThreadPoolExecutor(workers) if workers > 1 else None
        self._pending: dict[int, Future] = {}
        self._expected: int | None = None
        self._lock = threading.Lock()

    def get(self, number: int) -> Any:
        """Return `load(number)`.

        Args:
            number: number of the item.

        Returns:
            The item.

        Raises:
            Exception: if `load` raises one for this number, in any thread.
        """
        if self._executor is None:
            return self._load(number)
        with self._lock:
            future = self._pending.pop(number, None)
            if number == self._expected:
                self._submit(number)
            self._expected = number + self._step
        return self._load(number) if future is None else future.result()

    def _submit(self, number: int) -> None:
        ahead = range(number + self._step, number + self._step * (self._workers + 1), self._step)
        for other in [n for n in self._pending if n not in ahead]:
            self._pending.pop(other).cancel()
        for other in ahead:
            if other not in self._pending:
                self._pending[other] = self._executor.submit(self._load, other)
