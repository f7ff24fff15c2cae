"""Points in text files, one per row, in columns that are called by their coordinates."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synthtf.data.delimited import (
    COORDINATES,
    DELIMITERS,
    delimiter_of,
    number,
    split_rows,
    write_rows,
)
from synthtf.data.text_files import read_text, split_lines

POINT_ENDINGS = (".csv", ".tsv", ".txt", ".fcsv")
"""Endings of files with points."""

_CODES = {"0": "RAS", "1": "LPS"}  # of Slicer before 4.11
_REMARK = re.compile(r"#+\s*(?P<key>coordinate[\s_]*system|columns)\s*[=:]\s*(?P<value>.*)", re.I)
_UNIT = re.compile(r"\s*[\[(_ ]\s*mm\s*[\])]?$", re.I)
_NAMED = {"xyz": None, "ras": "RAS", "lps": "LPS"}


@dataclass(frozen=True, eq=False)
class PointTable:
    """Points, and all else of their file.

    Attributes:
        points: `(n, 3)` float64, RAS coordinates in mm.
        remarks: lines that start with #, without their line ends.
        header: names of the columns, where the first row has them.
        cells: cells of each row, those of the points among them.
        places: columns of x, y and z.
        delimiter: what stands between columns.
        system: coordinates of the file, of `COORDINATES`.
    """

    points: np.ndarray
    remarks: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    cells: tuple[tuple[str, ...], ...] = ()
    places: tuple[int, ...] = (0, 1, 2)
    delimiter: str = ","
    system: str = COORDINATES[0]

    def with_points(self, points: np.ndarray) -> "PointTable":
        """Return the table with other points in its rows.

        Args:
            points: `(n, 3)` in RAS mm.

        Raises:
            ValueError: if the shape differs.
        """
        if np.shape(points) != self.points.shape:
            raise ValueError(
                f"`points` must have the shape {self.points.shape}. "
                f"Received: points with shape {np.shape(points)}"
            )
        return replace(self, points=np.asarray(points, np.float64))


def read_points(path: str | os.PathLike, system: str | None = None) -> PointTable:
    """Read points from the columns x, y and z, wherever they stand; the others are kept.

    Columns may also be called R, A, S or L, P, S, and a unit mm may follow. Their names are in
    the first row, or in a remark `# columns = id,x,y,z`, as in Slicer's .fcsv. Without names,
    a table must have exactly three columns of numbers. A remark `# CoordinateSystem = LPS` (or
    RAS, 0 or 1) says which way the axes point. Columns are separated by tabs, semicolons, commas
    or blanks; empty lines and remarks (#) are no points.

    Args:
        path: text file.
        system: coordinates where the file does not say, of `COORDINATES`. None: RAS, but ANTs'
            tables (x, y, z and t) are then refused, since ANTs means LPS.

    Returns:
        The points, at least one.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is no such table; the message names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give a table of points")
    text = read_text(path)
    lines = [line for line in split_lines(text) if line.strip()]
    remarks = tuple(line for line in lines if line.lstrip().startswith("#"))
    said = _said_in(remarks, path)
    first = said.get("columns") or next((line for line in lines if line not in remarks), "")
    delimiter = next((d for d in DELIMITERS if d in first.strip()), ",")
    rows = list(split_rows(text, delimiter, path))
    names, header = _names(said, remarks, rows, delimiter, path)
    if header:
        rows = rows[1:]
    if not rows:
        raise ValueError(f"{path} holds no point; write one per row")
    places, meant = _places(names, path) if names else (_three_numbers(rows, path), None)
    system = _system(said.get("coordinatesystem"), meant, system, names, path)
    points = [_point(cells, places, header, f"{path}, line {line}") for line, cells in rows]
    signs = 1 if system == "RAS" else (-1, -1, 1)
    cells = tuple(tuple(cells) for _, cells in rows)
    return PointTable(np.array(points) * signs, remarks, header, cells, places, delimiter, system)


def write_points(path: str | os.PathLike, table: PointTable) -> None:
    """Write points to a nanometre, with all else of the file that they are from.

    Args:
        path: file to write. An existing file is replaced, and folders are made.
        table: the points; they are written in the coordinates of their file.

    Raises:
        OSError: if the file cannot be written; an existing file is then unchanged.
    """
    points = table.points * (1 if table.system == "RAS" else (-1, -1, 1))
    texts = [[f"{value:.6f}" for value in point] for point in np.round(points, 6) + 0.0]  # no -0
    rows = []
    for text, cells in zip(texts, table.cells or [("", "", "")] * len(texts), strict=True):
        row = list(cells)
        for place, value in zip(table.places, text, strict=True):
            row[place] = value
        rows.append(row)
    ending = Path(path).suffix.lower()
    delimiter = delimiter_of(path) if ending in (".tsv", ".fcsv") else table.delimiter
    header = [table.header] if table.header else []
    write_rows(path, [*header, *rows], delimiter=delimiter, remarks=table.remarks)


def _said_in(remarks: Sequence[str], path: Path) -> dict[str, str]:
    """What remarks say about coordinates and columns."""
    said: dict[str, str] = {}
    for remark in remarks:
        found = _REMARK.fullmatch(remark.strip())
        if found:
            key = re.sub(r"[\s_]", "", found["key"].lower())
            value = found["value"].strip(" \t,;")  # a spreadsheet fills up lines
            if said.setdefault(key, value) != value:
                raise ValueError(f"{path}: two lines say {found['key']}; keep one")
    return said


def _names(
    said: Mapping[str, str],
    remarks: Sequence[str],
    rows: Sequence[tuple[int, list[str]]],
    delimiter: str,
    path: Path,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the columns, and the first row if it is they."""
    if "columns" in said:
        return tuple(_split(said["columns"], delimiter, path)), ()
    if rows and all(number(cell) is None for cell in rows[0][1]):
        return tuple(rows[0][1]), tuple(rows[0][1])
    # NumPy writes the names of columns as a remark.
    names = _split(remarks[-1].lstrip("# \t"), delimiter, path) if remarks and rows else []
    called = {_UNIT.sub("", name).strip().lower() for name in names}
    fits = names and len(names) == len(rows[0][1]) and any(set(s) <= called for s in _NAMED)
    return tuple(names) if fits else (), ()


def _split(text: str, delimiter: str, path: Path) -> list[str]:
    return next(split_rows(text, delimiter, path), (1, []))[1]


def _places(names: Sequence[str], path: Path) -> tuple[tuple[int, ...], str | None]:
    """Columns of the coordinates, and the system that their names say."""
    called = [_UNIT.sub("", name).strip().lower() for name in names]
    found = {letters: meant for letters, meant in _NAMED.items() if set(letters) <= set(called)}
    if len(found) != 1:
        raise ValueError(
            f"{path}: one of the sets of columns x, y, z; R, A, S; or L, P, S (in mm) must be "
            f"there. Received: {', '.join(names)}"
        )
    ((letters, meant),) = found.items()
    twice = [letter for letter in letters if called.count(letter) > 1]
    if twice:
        raise ValueError(f"{path}: two columns are called {twice[0]}; rename one")
    return tuple(called.index(letter) for letter in letters), meant


def _three_numbers(rows: Sequence[tuple[int, list[str]]], path: Path) -> tuple[int, ...]:
    """Columns of a table without names: the three in which every row has a number."""
    line, cells = rows[0]
    places = tuple(i for i, cell in enumerate(cells) if number(cell) is not None)
    if len(places) != 3:
        raise ValueError(
            f"{path}, line {line}: without names of columns, a row must have exactly three "
            f"numbers; put the names, x, y and z among them, in the first line. Received: "
            f"{' '.join(cells)[:80]!r}"
        )
    for line, cells in rows:
        others = [i for i, cell in enumerate(cells) if i not in places and number(cell) is not None]
        if others:
            raise ValueError(
                f"{path}, line {line}: without names of columns, a row must have three numbers in "
                f"the places of those of the first. Received: {' '.join(cells)[:80]!r}"
            )
    return places


def _system(
    stated: str | None, meant: str | None, given: str | None, names: Sequence[str], path: Path
) -> str:
    """Coordinates of a file: as a remark, the names of its columns or the caller say."""
    if given not in (None, *COORDINATES):
        raise ValueError(f"coordinates must be one of {COORDINATES}. Received: {given!r}")
    if stated is not None:
        system = _CODES.get(stated, stated.upper())
        if system not in COORDINATES:
            raise ValueError(
                f"{path}: the coordinate system must be one of {COORDINATES}. Received: {stated!r}"
            )
        stated = system
    known = {system for system in (stated, meant) if system}
    if len(known) > 1 or (known and given and given not in known):
        raise ValueError(
            f"{path}: the points are said to be {' and '.join(sorted({*known, given} - {None}))}; "
            "correct it"
        )
    if known or given:
        return next(iter(known), given)
    if [name.lower() for name in names[:4]] == ["x", "y", "z", "t"]:
        raise ValueError(
            f"{path}: columns x, y, z, t are those of ANTs, which means LPS; say --points LPS or "
            "--points RAS, or write a line such as # CoordinateSystem = LPS"
        )
    return COORDINATES[0]


def _point(
    cells: Sequence[str], places: Sequence[int], header: Sequence[str], where: str
) -> list[float]:
    values = [number(cells[place]) if place < len(cells) else None for place in places]
    if None in values:
        raise ValueError(
            f"{where}: x, y and z must be three numbers. Received: {' '.join(cells)[:80]!r}"
        )
    # A row of R's write.table has a cell more than its header: the names would be one off.
    if header and len(cells) != len(header) and any(cells[len(header) :]):
        raise ValueError(
            f"{where}: the row must have {len(header)} cells, as the first. Received: {len(cells)}"
        )
    return values
