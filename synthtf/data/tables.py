"""Tables of what was measured, as CSV."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from synthtf.data.whole_files import written_aside

_SCAN = "scan"


def write_table(
    path: str | os.PathLike, columns: Sequence[str], rows: Sequence[Mapping[str, object]]
) -> None:
    """Write a CSV file with a header line; it replaces an existing file only when complete.

    Args:
        path: the file.
        columns: names of the columns, in order.
        rows: per row, column name to value; what a row lacks stays empty.

    Raises:
        ValueError: if a row has a value for an unknown column.
        OSError: if the file cannot be written.
    """
    with written_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(columns))
        writer.writeheader()
        writer.writerows(rows)


class ScanTable:
    """CSV file with a row per scan that several runs of a command fill.

    It is written after every row, so that nothing is lost if the command is killed. Rows that it
    held before stay, until their scan is measured again.

    Args:
        path: the file; it need not exist. Its first column, `scan`, holds the scans' paths.

    Raises:
        ValueError: if it is another kind of file.
        OSError: if it cannot be read.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._columns: list[str] | None = None
        self._rows: dict[str, dict[str, object]] = {}
        if self.path.is_file() and self.path.stat().st_size:
            self._read()

    def __contains__(self, scan: object) -> bool:
        """Whether there is a row for a scan."""
        return os.path.abspath(scan) in self._rows

    def begin(self, columns: Sequence[str]) -> None:
        """Say what is measured, and write the table.

        Args:
            columns: names of the columns after `scan`, in order.

        Raises:
            ValueError: if the file has other columns.
            OSError: if it cannot be written.
        """
        wanted = [_SCAN, *columns]
        if self._columns not in (None, wanted):
            raise ValueError(
                f"{self.path} holds {len(self._columns)} other columns, as of another model; "
                "give another file, or delete it"
            )
        self._columns = wanted
        self._write()

    def add(self, scan: str | os.PathLike, row: Mapping[str, object]) -> None:
        """Write the row of a scan, in place of its row so far.

        Args:
            scan: its path.
            row: column name to value.

        Raises:
            ValueError: if there is a value for an unknown column.
            OSError: if the file cannot be written.
        """
        self._rows[os.path.abspath(scan)] = {_SCAN: os.fspath(scan), **row}
        self._write()

    def _write(self) -> None:
        write_table(self.path, self._columns, list(self._rows.values()))

    def _read(self) -> None:
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as stream:
                reader = csv.DictReader(stream, strict=True)
                rows, columns = list(reader), list(reader.fieldnames or [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{self.path}: not a CSV file in UTF-8; give another file") from error
        if columns[:1] != [_SCAN] or any(None in row or not row[_SCAN] for row in rows):
            raise ValueError(
                f"{self.path} exists and is no table of scans, with `{_SCAN}` as its first column; "
                "give another file"
            )
        self._columns = columns
        self._rows = {os.path.abspath(row[_SCAN]): row for row in rows}


def volume_columns(names: Mapping[int, str], labels: Sequence[int]) -> dict[int, str]:
    """Column name of each label: the structure's name, numbered where names repeat.

    Args:
        names: label value to name; a label without one is called by its value.
        labels: label values; zero, the background, is left out.

    Example:
        >>> volume_columns({2: "white matter", 3: "cortex", 42: "cortex"}, (0, 2, 3, 42, 77))
        {2: 'white matter', 3: 'cortex (3)', 42: 'cortex (42)', 77: '77'}
    """
    found = {value: names.get(value) or str(value) for value in labels if value != 0}
    called = list(found.values())
    return {
        value: f"{name} ({value})" if called.count(name) > 1 else name
        for value, name in found.items()
    }


def format_table(columns: Mapping[str, str], rows: Sequence[Mapping[str, object]]) -> str:
    """Lay out rows as text, in columns of even width.

    Args:
        columns: title of each column to how its values are formatted, as in `format`;
            numbers are set to the right.
        rows: per row, title to value; what is missing or NaN becomes a hyphen.

    Returns:
        The lines, the titles first.

    Example:
        >>> print(format_table({"name": "", "Dice": ".2f"}, [{"name": "cortex", "Dice": 0.813}]))
        name    Dice
        cortex  0.81
    """
    cells = [list(columns)]
    for row in rows:
        values = [row.get(title) for title in columns]
        cells.append(
            [
                "-" if value is None or value != value else format(value, style)
                for value, style in zip(values, columns.values(), strict=True)
            ]
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    sides = [">" if style else "<" for style in columns.values()]
    lines = [
        "  ".join(f"{c:{side}{w}}" for c, side, w in zip(line, sides, widths, strict=True))
        for line in cells
    ]
    return "\n".join(line.rstrip() for line in lines)
