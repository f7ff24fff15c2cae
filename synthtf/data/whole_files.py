"""Files that are written completely or not at all, and verified before they are read."""

import os
import re
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synthtf.data.paths import extension
from synthtf.messages import describe

_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}\.part(\..+)?")
# Bytes of a text and of all members of an archive, and how many times a member that is larger
# than a text may be inflated: weights shrink to a half at best.
_MAX_TEXT = 2**24
_MAX_BYTES = 2**31
_MAX_INFLATION = 20
_MAX_MEMBERS = 1000


@contextmanager
def written_aside(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file aside and move it into place, so that its path never holds a partial file.

    Args:
        path: path of the file. An existing file is replaced, also at the end of a link, and
            folders are made.

    Yields:
        Path to write to, in the same folder and with the same ending. If the block fails, this
        file is deleted and `path` is unchanged.

    Raises:
        OSError: if the file cannot be moved into place. Whatever the system refuses within the
            block names `path`, unless it is about another file.
    """
    path = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    ending = extension(path) or path.suffix
    rest = f".{secrets.token_hex(4)}.part{ending}"
    # The name aside is no longer than a file system takes.
    name = os.fsdecode(os.fsencode(f".{path.name}")[: 255 - len(os.fsencode(rest))])
    aside = path.with_name(name + rest)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        os.replace(aside, path)
    except OSError as error:
        # A disk that is full while a file is written to does not say which.
        if error.errno is not None and error.filename in (None, str(aside)):
            error.filename = str(path)
        raise
    finally:
        aside.unlink(missing_ok=True)


def remove_leftovers(folder: str | os.PathLike) -> None:
    """Remove what `written_aside` left in a folder as its process was killed.

    Args:
        folder: path of the folder, which nobody writes to now. It need not exist.
    """
    for path in Path(folder).glob(".*.part*"):
        if _ASIDE.fullmatch(path.name):
            path.unlink(missing_ok=True)


def check_archive(path: str | os.PathLike) -> None:
    """Read a zip archive, such as a .keras file, to its end and verify its checksums.

    What its members claim to inflate to is looked at before any is read.

    Args:
        path: path of the file.

    Raises:
        ValueError: if the file is truncated or corrupt, or inflates to far more than it holds.
        OSError: if it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive, path)
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        reason = describe(error)
        raise ValueError(f"{path} is truncated or corrupt ({reason}); copy it again") from error
    if damaged is not None:
        raise ValueError(f"{path} is corrupt: the checksum of {damaged} is wrong; copy it again")


def _check_sizes(archive: zipfile.ZipFile, path: str | os.PathLike) -> None:
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS or len({m.filename for m in members}) < len(members):
        raise ValueError(f"{path} must hold at most {_MAX_MEMBERS} files, each of its own name")
    total = 0
    for m in members:
        limit = max(_MAX_TEXT, _MAX_INFLATION * m.compress_size)
        total += m.file_size
        if m.filename.endswith(".json"):
            limit = _MAX_TEXT
        if m.file_size > limit or total > _MAX_BYTES:
            raise ValueError(
                f"{path}: {m.filename} inflates to {m.file_size:,} bytes, more than a model needs"
            )


def write_whole(path: str | os.PathLike, data: bytes) -> None:
    """Write bytes to a file, completely or not at all.

    Args:
        path: path of the file. An existing file is replaced, and folders are made.
        data: content of the file.

    Raises:
        OSError: if the file cannot be written; an existing file is then unchanged.
    """
    with written_aside(path) as aside:
        aside.write_bytes(data)
