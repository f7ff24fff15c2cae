"""Points in text files, one per row, with x, y and z in RAS mm in the first columns."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synthtf.data.whole_files import write_whole

POINT_ENDINGS = (".csv", ".tsv", ".txt")
"""Endings of files with points."""

_MAX_BYTES = 2**28


@dataclass(frozen=True, eq=False)
class PointTable:
    """Points, and the other text of their file.

    Attributes:
        points: `(n, 3)` float64, RAS coordinates in mm.
        header: lines before the first point.
        rest: per point, the text after its third column, with the delimiter before it.
        delimiter: text between columns.
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
            raise ValueError(
                f"`points` must have the shape {self.points.shape}. "
                f"Received: points with shape {np.shape(points)}"
            )
        return replace(self, points=np.asarray(points, np.float64))


def read_points(path: str | os.PathLike) -> PointTable:
    """Read points from three columns of numbers; other columns are kept as they are.

    Columns are separated by tabs if there are any, else by commas, else by spaces. Leading lines
    that start with #, and one line of column names, are the header. Blank lines are skipped.

    Args:
        path: text file.

    Returns:
        The points, at least one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not text, is too large, holds no point, or has a row that does
            not start with three finite numbers; the message names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give a table of points")
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{path}: a table of points must have at most {_MAX_BYTES:,} bytes")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: a table of points must be a text file in UTF-8") from error
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
            raise ValueError(
                f"{path}, line {number}: the row must start with three numbers. Received: {line!r}"
            )
        else:
            points.append(point)
            rest.append(delimiter + words[3] if len(words) > 3 else "")
    if not points:
        raise ValueError(f"{path} holds no point; each row must start with three numbers")
    return PointTable(np.array(points), tuple(header), tuple(rest), delimiter)


def write_points(path: str | os.PathLike, table: PointTable) -> None:
    """Write points to a nanometre, in the form that `read_points` reads.

    Args:
        path: file to write. An existing file is replaced, and folders are made.
        table: the points.

    Raises:
        OSError: if the file cannot be written; an existing file is then unchanged.
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
