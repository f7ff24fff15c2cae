"""A folder of samples that some processes fill and others empty, all at the same time.

    ready/000000012.npz    a shard that may be taken
    making/000000013.npz   one that a producer writes, and has locked
    taken/                 what a consumer reads now
    next                   number of the shard that is begun next

A shard is one file, and is always in one of the three folders: what moves it is a rename, which
the file system does as a whole or not at all. So nothing is taken half-written or twice, whoever is
killed at whatever moment. A shard is an .npz file of NumPy: consumers need no TensorFlow, it holds
a batch as `fit` takes it, and reading checks the sum of each array.
"""

import os
import secrets
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from synthtf.data.file_locks import locked, try_lock
from synthtf.data.whole_files import write_whole

_READY, _MAKING, _TAKEN, _NEXT = "ready", "making", "taken", "next"
_LEFT_BEHIND = 3600.0  # seconds; a shard is read in far less


class Buffer:
    """A folder with a limited number of shards of samples.

    Args:
        folder: made if it does not exist.
        limit: shards that wait or are being made, at most. None: any number.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     buffer = Buffer(folder, limit=1)
        ...     with buffer.begin() as shard:
        ...         shard.commit({"key": np.array([[0, 5]])})
        ...     full = buffer.begin()
        ...     taken, nothing = buffer.take(), buffer.take()
        >>> full is None, taken["key"].tolist(), nothing is None
        (True, [[0, 5]], True)
    """

    def __init__(self, folder: str | os.PathLike, limit: int | None = None) -> None:
        self.folder, self.limit = Path(folder), limit
        for name in (_READY, _MAKING, _TAKEN):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._forget()

    def __len__(self) -> int:
        """Return the number of shards that wait."""
        return len(self._shards(_READY))

    def begin(self) -> "Shard | None":
        """Begin a shard: one that a killed producer has left, or the next.

        Returns:
            The shard, which no other process begins; None if the buffer is full.
        """
        counter = self.folder / _NEXT
        with locked(counter):
            begun = self._shards(_MAKING)
            shard = next(filter(None, map(self._left, begun)), None)
            full = self.limit is not None and len(begun) + len(self) >= self.limit
            if shard is None and full:
                return None
            following = int(counter.read_text()) if counter.is_file() else 0
            if shard is None:
                path = self.folder / _MAKING / f"{following:09d}.npz"
                file = path.open("wb")
                try_lock(file)
                shard = Shard(path, file)
            write_whole(counter, str(max(following, shard.number + 1)).encode())
            return shard

    def take(self) -> dict[str, np.ndarray] | None:
        """Read the oldest shard that waits and delete it.

        Returns:
            Its arrays; None if there is none.

        Raises:
            ValueError: if it is damaged.
        """
        for path in self._shards(_READY):
            own = self.folder / _TAKEN / f"{secrets.token_hex(8)}.npz"
            try:
                path.rename(own)
            except FileNotFoundError:  # another consumer was faster
                continue
            try:
                with own.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                    return {name: file[name] for name in file.files}
            except (ValueError, EOFError, zipfile.BadZipFile) as error:
                raise ValueError(f"{path}: not a shard that can be read, {error}") from error
            finally:
                own.unlink()
        return None

    def _shards(self, name: str) -> list[Path]:
        return sorted((self.folder / name).glob("*.npz"))

    def _left(self, path: Path) -> "Shard | None":
        """Give a shard whose producer has ended before it was complete."""
        try:
            file = path.open("r+b")
        except FileNotFoundError:
            return None
        # It may have been completed in between: then its name is gone.
        if try_lock(file) and path.exists():
            file.truncate(0)
            return Shard(path, file)
        file.close()
        return None

    def _forget(self) -> None:
        """Delete what killed consumers have taken."""
        for path in self._shards(_TAKEN):
            try:
                if time.time() - path.stat().st_ctime > _LEFT_BEHIND:
                    path.unlink()
            except FileNotFoundError:
                continue


class Shard:
    """A shard that a producer makes; a context that lets go of it.

    Attributes:
        number: the place of the shard among all.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file
        self.number = int(path.stem)

    def __enter__(self) -> "Shard":
        """Return the shard."""
        return self

    def __exit__(self, *_: object) -> None:
        """Unlock it; if it is not complete, the next producer makes it."""
        self._file.close()

    def commit(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the arrays and let consumers have them.

        Raises:
            OSError: if they cannot be written.
        """
        np.savez(self._file, **arrays)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._path.rename(self._path.parents[1] / _READY / self._path.name)
