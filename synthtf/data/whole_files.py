"""Files that are written whole or not at all, and read only if they are whole."""

import os
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synthtf.data.paths import extension


@contextmanager
def written_aside(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file aside and move it into place, so that nothing partial is found under its name.

    Args:
        path: the file; an existing one is replaced, folders are made.

    Yields:
        Path in the same folder, of the same ending, to write to. If the block fails, it is
        deleted, and `path` is as it was.

    Raises:
        OSError: if the file cannot be moved into place.
    """
    path = Path(path)
    ending = extension(path) or path.suffix
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part{ending}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def check_archive(path: str | os.PathLike) -> None:
    """Read a zip archive, as .keras files are, to its end, and compare its checksums.

    Args:
        path: the file.

    Raises:
        ValueError: if it is truncated or corrupt.
        OSError: if it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path} is truncated or corrupt ({error}); copy it again") from error
    if damaged is not None:
        raise ValueError(f"{path} is corrupt: the checksum of {damaged} is wrong; copy it again")


def write_whole(path: str | os.PathLike, data: bytes) -> None:
    """Write bytes to a file, in one piece.

    Args:
        path: the file; an existing one is replaced, folders are made.
        data: its content.

    Raises:
        OSError: if it cannot be written; it is then as it was.
    """
    with written_aside(path) as aside:
        aside.write_bytes(data)
