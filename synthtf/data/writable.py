"""Whether a file could be written: what can be known before the work."""

import functools
import os
import stat
import tempfile
from pathlib import Path

_SPARE = 32  # bytes of a path that a file written aside has more


def check_writable(path: str | os.PathLike, what: str = "output") -> None:
    """Refuse a file that could not be written; nothing is made.

    Args:
        path: the file. Its folders may be missing, a link is followed.
        what: what it was given as, for the message.

    Raises:
        ValueError: if a name or the path is too long, a folder cannot be made or written to, the
            path is a folder, a device or a read-only file, or it links to where no folder is.
    """
    text = f"{what} {path}" if len(os.fspath(path)) <= 300 else f"{what} {str(path)[:260]}..."
    if "\0" in os.fspath(path):
        raise ValueError(f"{what} {os.fspath(path)!r} must hold no zero byte")
    file = _absolute(path, text)
    _check_lengths(file, text)
    if file.is_symlink():
        file = Path(os.path.realpath(file))
        if not file.parent.is_dir():
            raise ValueError(f"{text} links to {file}, whose folder does not exist; delete it")
        _check_lengths(file, text)
    if file.exists():
        _check_existing(file, text)
    check_folder(file.parent, text)


def check_folder(folder: Path, text: str) -> None:
    """Refuse a folder that could not be made or written to.

    Args:
        folder: the folder; it may be missing.
        text: begins the message.

    Raises:
        ValueError: if it, or the folder that it would be made in, is a file or not writable.
    """
    folder = _absolute(folder, text)
    _check_lengths(folder, text)
    existing = next(part for part in (folder, *folder.parents) if os.path.lexists(part))
    if not existing.exists():
        raise ValueError(f"{text}: {existing} links to nothing; delete it")
    if not existing.is_dir():
        raise ValueError(f"{text}: must be a folder. Received: the file {existing}")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{text}: the folder {existing} is read-only; choose another")
    try:
        _try_to_write(existing)
    except OSError as error:
        raise ValueError(
            f"{text}: nothing can be written in the folder {existing} ({error.strerror}); choose "
            "another"
        ) from None


@functools.lru_cache(maxsize=64)
def _try_to_write(folder: Path) -> None:
    """Make a folder in a folder, and delete it: some file systems say that they are writable."""
    os.rmdir(tempfile.mkdtemp(prefix=".synthtf-", dir=folder))


def _absolute(path: str | os.PathLike, text: str) -> Path:
    try:
        return Path(os.path.abspath(path))
    except FileNotFoundError:
        raise ValueError(
            f"{text}: the current folder was deleted; change to another, or give a full path"
        ) from None


def _check_lengths(path: Path, text: str) -> None:
    most = _limit(path, "PC_NAME_MAX", 255)
    for part in path.parts:
        if len(os.fsencode(part)) > most:
            raise ValueError(
                f"{text}: a name may have {most} bytes. Received: {len(os.fsencode(part))} bytes; "
                "shorten it"
            )
    most = _limit(path, "PC_PATH_MAX", 4096) - _SPARE
    if len(os.fsencode(path)) > most:
        raise ValueError(
            f"{text}: a path may have {most} bytes. Received: {len(os.fsencode(path))} bytes; "
            "shorten it"
        )


def _limit(path: Path, name: str, default: int) -> int:
    """Ask the file system of the nearest folder that exists."""
    for folder in path.parents:
        try:
            return os.pathconf(folder, name)
        except (OSError, ValueError, AttributeError):
            continue
    return default


def _check_existing(file: Path, text: str) -> None:
    mode = file.stat().st_mode
    if stat.S_ISDIR(mode):
        raise ValueError(f"{text} must be a file. Received: a folder")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{text} must be a file. Received: a device or a pipe")
    if not mode & 0o222:
        raise ValueError(f"{text} exists and is read-only; choose another, or chmod u+w it")
