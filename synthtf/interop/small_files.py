"""Small transform files, read completely, up to a limit."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from synthtf.data.contents import HEAD_BYTES, no_file, not_the_content
from synthtf.messages import describe

_MAX_BYTES = 2**20  # an affine transform takes a few thousand bytes


def read_small(path: str | os.PathLike) -> bytes:
    """Read a file of at most 1 MB.

    Args:
        path: path of the file.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is empty or too large.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{no_file(path)}; give the file of a transform")
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if not 0 < len(data) <= _MAX_BYTES:
        size = "an empty file" if not data else "more"
        raise ValueError(f"{path} must be an affine transform of at most 1 MB. Received: {size}")
    if what := not_the_content(data[:HEAD_BYTES]):
        raise ValueError(f"{path} {what}")
    return data


def read_text(path: str | os.PathLike) -> str:
    """Read a text file of at most 1 MB.

    Args:
        path: path of the file, in UTF-8; it may name files whose names are not.

    Returns:
        Its text.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is empty, too large, or not text.
    """
    text = read_small(path).decode("utf-8-sig", "surrogateescape")
    if "\0" in text:
        raise ValueError(f"{path} must be a text file. Received: zero bytes")
    return text


def parse_numbers(words: Sequence[str], what: str, count: int | None = None) -> np.ndarray:
    """Parse words as finite numbers.

    Args:
        words: the words.
        what: name of the numbers, for the message.
        count: how many there must be. Default: any number.

    Returns:
        The numbers, float64.

    Raises:
        ValueError: if there are more or fewer, or one is not a finite number.
    """
    try:
        numbers = np.array([float(word) for word in words], np.float64)
    except ValueError as error:
        raise ValueError(f"{what}: {describe(error)}") from error
    if count is not None and len(numbers) != count:
        raise ValueError(f"{what} must be {count} numbers. Received: {len(numbers)}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{what} must be finite. Received: {' '.join(words)}")
    return numbers


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Put the name of a file before the message of each ValueError of the block."""
    try:
        yield
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(str(path)) else f"{path}: {text}") from error
