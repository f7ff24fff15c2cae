"""Delimited text: the one reader and the one writer of tables, on Python's csv module."""

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from synthtf.data.whole_files import written_aside

DELIMITERS = {"\t": "tab", ";": "semicolon", ",": "comma", " ": "space"}
"""What may stand between columns, the one that is looked for first in front, and its name."""

COORDINATES = ("RAS", "LPS")
"""What points in a table are in, mm; in the LPS of ITK and Slicer, x and y have the other sign."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def split_rows(
    text: str, delimiter: str, source: str | os.PathLike, *, exact: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Split a text into rows and cells, as the csv module does; empty lines are left out.

    Args:
        text: the text.
        delimiter: what stands between columns; " " for any blanks.
        source: name of its file, for messages.
        exact: whether cells keep their blanks, and lines that start with # count.

    Yields:
        Number of the line that a row starts in, from 1, and its cells.

    Raises:
        ValueError: if quotes do not match; the message names the line.
    """
    lines: Iterable[str] = io.StringIO(text, newline="")
    if not exact:
        lines = ("\n" if line.lstrip().startswith("#") else line for line in lines)
    if delimiter == " ":
        lines = (line.replace("\t", " ").rstrip() for line in lines)
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=not exact)
    first = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(f"{source}, line {first}: quotes do not match ({error})") from error
        if not exact:
            cells = [cell.strip() for cell in cells]
        if any(cells):
            yield first, cells
        first = reader.line_num + 1


def write_rows(
    path: str | os.PathLike,
    rows: Iterable[Sequence[object]],
    *,
    delimiter: str | None = None,
    remarks: Sequence[str] = (),
) -> None:
    """Write rows, completely or not at all; what `split_rows` reads gives the same cells.

    Names of files may hold bytes that are not UTF-8; they are written as they are.

    Args:
        path: the file. An existing file is replaced, and folders are made.
        rows: cells of each row.
        delimiter: what stands between them. None: tabs in .tsv, else commas.
        remarks: lines in front of them.

    Raises:
        OSError: if the file cannot be written; an existing file is then unchanged.
    """
    with written_aside(path) as aside:
        if remarks:
            text = "".join(f"{remark}\n" for remark in remarks)
            aside.write_text(text, encoding="utf-8", newline="")
        append_rows(aside, rows, delimiter=delimiter or delimiter_of(path))


def append_rows(
    path: str | os.PathLike, rows: Iterable[Sequence[object]], *, delimiter: str | None = None
) -> None:
    """Write rows after those of a file, as `write_rows` does.

    Args:
        path: the file; made if it does not exist.
        rows: cells of each row.
        delimiter: what stands between them. None: tabs in .tsv, else commas.

    Raises:
        OSError: if the file cannot be written.
    """
    with open(path, "a", newline="", encoding="utf-8", errors="surrogateescape") as stream:
        options = {"delimiter": delimiter or delimiter_of(path), "lineterminator": "\n"}
        plain, quoted = (
            csv.writer(stream, quoting=quoting, **options)
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
        )
        for row in rows:
            # Not all versions of Python quote a carriage return.
            (quoted if any("\r" in str(cell) for cell in row) else plain).writerow(row)


def delimiter_of(path: str | os.PathLike) -> str:
    """Return what stands between the columns of a table that is written: by its ending.

    Example:
        >>> delimiter_of("volumes.csv")
        ','
    """
    return "\t" if Path(path).suffix.lower() == ".tsv" else ","


def number(text: str) -> float | None:
    """Return the finite number that a cell holds, or None.

    Example:
        >>> number("-1.5e1"), number("1_0"), number("nan")
        (-15.0, None, None)
    """
    value = float(text) if _NUMBER.fullmatch(text.strip()) else float("inf")
    return value if abs(value) < float("inf") else None
