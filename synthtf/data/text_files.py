"""Text files of users, in the encodings that programs write."""

import codecs
import os
import re
from pathlib import Path

_MAX_BYTES = 2**28
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: str | os.PathLike, *, paths: bool = False) -> str:
    """Read a text file in UTF-8, or in UTF-16 as spreadsheets and PowerShell write it.

    Args:
        path: the file; a byte order mark is no part of its text.
        paths: whether it names files. Bytes that are not UTF-8 are then kept as Python keeps
            them in file names, so that such a file is found.

    Returns:
        The text, its line ends as they are.

    Raises:
        ValueError: if the file is too large, or no text; the message names the line.
        OSError: if it cannot be read.
    """
    if os.stat(path).st_size > _MAX_BYTES:
        raise ValueError(f"{path} must have at most {_MAX_BYTES:,} bytes")
    data = Path(path).read_bytes()
    wide = data.startswith(_UTF16)
    try:
        text = data.decode(
            "utf-16" if wide else "utf-8-sig",
            "surrogateescape" if paths and not wide else "strict",
        )
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: must be a text file in UTF-8; save it so") from (
            error
        )
    if "\0" in text:
        raise ValueError(f"{path} must be a text file in UTF-8. Received: zero bytes")
    return text


def split_lines(text: str) -> list[str]:
    r"""Split a text into lines, at line ends alone: names of files may hold other separators.

    Example:
        >>> split_lines("a\r\nb\x0bc")
        ['a', 'b\x0bc']
    """
    return re.split("\r\n|\r|\n", text)


def encode(text: str) -> bytes:
    r"""Encode a text in UTF-8; bytes of names of files that are not UTF-8 stay as they are.

    Example:
        >>> encode(os.fsdecode(b"M\xfcller"))
        b'M\xfcller'
    """
    return text.encode("utf-8", "surrogateescape")
