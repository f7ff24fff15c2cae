"""Files that one process at a time changes."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_PATIENCE = 60.0  # seconds; a table is written in far less than one
_PAUSE = 0.02


@contextmanager
def locked(path: str | os.PathLike) -> Iterator[None]:
    """Keep other processes from a file while a block reads, changes and writes it.

    All who change the file must do so in such a block. The lock is a hidden file beside it, which
    the system locks: it ends with its process, however that ends, and holds between the nodes of
    a cluster where their network disk supports locks. Where the system has no locks, the hidden
    file is the lock while it exists, and counts as left behind if it stays for a minute.

    Args:
        path: the file; it need not exist, but its folder must.

    Raises:
        TimeoutError: if another process holds the lock for more than a minute.
        OSError: if the folder cannot be written to.
    """
    path = Path(path)
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("ab") as file:
        by_system = _wait(lambda: try_lock(file), path)
        if by_system:
            yield
            return
    marker = path.with_name(f".{path.name}.locked")
    _take_marker(marker)
    try:
        yield
    finally:
        marker.unlink(missing_ok=True)


def try_lock(file: IO) -> bool | None:
    """Lock an open file until it is closed or the process ends.

    Returns:
        False if another has it, None if the system or the disk has no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _wait(attempt: Callable[[], bool | None], path: Path) -> bool | None:
    end = time.monotonic() + _PATIENCE
    while (found := attempt()) is False:
        if time.monotonic() > end:
            raise TimeoutError(
                f"{path}: another process has been writing it for {_PATIENCE:.0f} s; "
                "end that process, or give another file"
            )
        time.sleep(_PAUSE)
    return found


def _take_marker(marker: Path) -> None:
    """Make a file that must not exist; one that nobody has changed for long is left behind."""
    seen, since = None, time.monotonic()
    while True:
        try:
            marker.open("xb").close()
            return
        except FileExistsError:
            found = _identity(marker)
        if found != seen:
            seen, since = found, time.monotonic()
        elif time.monotonic() - since > _PATIENCE:
            marker.unlink(missing_ok=True)
        time.sleep(_PAUSE)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
