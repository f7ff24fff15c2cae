"""Small files of transforms: read whole, with a limit."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

_MAX_BYTES = 2**20  # an affine transform takes a few thousand


def read_small(path: str | os.PathLike) -> bytes:
    """Read a file of at most 1 MB.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty or larger.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {what}; expected the file of a transform")
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if not 0 < len(data) <= _MAX_BYTES:
        size = "an empty file" if not data else "more"
        raise ValueError(f"{path}: expected an affine transform, at most 1 MB, received {size}")
    return data


def read_text(path: str | os.PathLike) -> str:
    """Read a text file of at most 1 MB.

    Args:
        path: the file, in UTF-8.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty, larger, or no text.
    """
    try:
        text = read_small(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a text file, received other bytes") from error
    if "\0" in text:
        raise ValueError(f"{path}: expected a text file, received zero bytes")
    return text


def parse_numbers(words: Sequence[str], what: str, count: int | None = None) -> np.ndarray:
    """Return words as finite numbers, float64.

    Args:
        words: the words.
        what: what they are, for the message.
        count: how many are expected; None for any.

    Raises:
        ValueError: if there are more or fewer, or one is not a finite number.
    """
    try:
        numbers = np.array([float(word) for word in words], np.float64)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
    if count is not None and len(numbers) != count:
        raise ValueError(f"{what}: expected {count} numbers, received {len(numbers)}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{what}: expected finite numbers, received {' '.join(words)}")
    return numbers


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Put the name of a file before the message of each ValueError of the block."""
    try:
        yield
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(str(path)) else f"{path}: {text}") from error
