"""Points in text files: a row each, x, y and z in RAS mm first."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synthtf.data.whole_files import write_whole

POINT_ENDINGS = (".csv", ".tsv", ".txt")
"""Endings of the files of points."""

_MAX_BYTES = 2**28


@dataclass(frozen=True, eq=False)
class PointTable:
    """Points, and what else is in their file.

    Attributes:
        points: `(n, 3)` float64, RAS coordinates in mm.
        header: lines before the first point.
        rest: per point, the text after its third column, with the delimiter before it.
        delimiter: between columns.
    """

    points: np.ndarray
    header: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    delimiter: str = ","

    def with_points(self, points: np.ndarray) -> "PointTable":
        """Return the table with other points in its rows.

        Args:
            points: `(n, 3)` in mm.

        Raises:
            ValueError: if the shape differs.
        """
        if np.shape(points) != self.points.shape:
            raise ValueError(f"expected {len(self.points)} points, received {np.shape(points)}")
        return replace(self, points=np.asarray(points, np.float64))


def read_points(path: str | os.PathLike) -> PointTable:
    """Read points: three columns of numbers, and more columns that are kept as they are.

    Columns are separated by tabs if there are any, else by commas, else by spaces. Leading lines
    that start with #, and one line of column names, are the header. Blank lines are skipped.

    Args:
        path: text file.

    Returns:
        The points, at least one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no text, too large, holds no point, or a row does not start with three
            finite numbers; names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; expected a table of points")
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path}: expected a table of points, at most {_MAX_BYTES:,} bytes")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8; expected a table of points") from (
            error
        )
    delimiter = next((d for d in "\t," if any(d in line for line in lines)), " ")
    header, points, rest = [], [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if not points and line.startswith("#"):
            header.append(line)
            continue
        words = line.split(None if delimiter == " " else delimiter, 3)
        point = _numbers(words[:3])
        if point is None and not points and all(h.startswith("#") for h in header):
            header.append(line)
        elif point is None:
            raise ValueError(f"{path}, line {number}: expected three numbers, received {line!r}")
        else:
            points.append(point)
            rest.append(delimiter + words[3] if len(words) > 3 else "")
    if not points:
        raise ValueError(f"{path} holds no point; expected rows of three numbers")
    return PointTable(np.array(points), tuple(header), tuple(rest), delimiter)


def write_points(path: str | os.PathLike, table: PointTable) -> None:
    """Write points as `read_points` reads them, to a nanometre; replaces an existing file.

    Args:
        path: file to write; folders are made.
        table: the points.

    Raises:
        OSError: if the file cannot be written; it is then as it was.
    """
    rounded = np.round(table.points, 6) + 0.0  # no -0
    rows = [table.delimiter.join(f"{number:.6f}" for number in point) for point in rounded]
    rest = table.rest or ("",) * len(rows)
    lines = [*table.header, *(row + more for row, more in zip(rows, rest, strict=True))]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def _numbers(words: list[str]) -> list[float] | None:
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return None
    return numbers if len(numbers) == 3 and np.isfinite(numbers).all() else None
