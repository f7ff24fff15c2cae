"""Tables of what was measured, as CSV, or TSV where the file is called so."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from synthtf.data.delimited import DELIMITERS, delimiter_of, split_rows, write_rows
from synthtf.data.file_locks import locked
from synthtf.data.text_files import read_text, split_lines

_SCAN = "scan"


def write_table(
    path: str | os.PathLike, columns: Sequence[str], rows: Sequence[Mapping[str, object]]
) -> None:
    """Write a table with a header line; it replaces an older one only when complete.

    Args:
        path: the file.
        columns: names of the columns, in order.
        rows: per row, column name to value; what a row lacks stays empty.

    Raises:
        ValueError: if a row has a value for an unknown column, or the file exists and is no
            table with these columns.
        OSError: if the file cannot be written.
    """
    refuse_other_file(path, columns)
    write_rows(path, [list(columns), *(_cells(columns, row) for row in rows)])


def refuse_other_file(
    path: str | os.PathLike, columns: Sequence[str], delimiter: str | None = None
) -> None:
    """Refuse to write a table over a file that is no table with the same columns.

    Args:
        path: the file; it need not exist.
        columns: names of the columns of the table.
        delimiter: what stands between them. None: tabs in .tsv, else commas.

    Raises:
        ValueError: if there is such a file.
        OSError: if it cannot be read.
    """
    if os.path.isfile(path) and os.path.getsize(path):
        rows = split_rows(_text(Path(path)), delimiter or delimiter_of(path), path, exact=True)
        if next(rows, (1, []))[1] != list(columns):
            raise ValueError(
                f"{path} exists and is another table, without the columns {', '.join(columns)}; "
                "give another file, or delete it"
            )


def read_table(path: str | os.PathLike) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Read a table with a header line, whatever stands between its columns.

    Args:
        path: the file.

    Returns:
        Names of the columns in lower case, and for each row the number of its line and its cells,
        at least one per column, empty where the row is short.

    Raises:
        ValueError: if the file is no text, or quotes do not match.
        OSError: if it cannot be read.
    """
    text = read_text(path, paths=True)
    first = next((line for line in split_lines(text) if line.strip(" \t")), "")
    delimiter = next((d for d in DELIMITERS if d in first.strip()), ",")
    rows = list(split_rows(text, delimiter, path))
    columns = [name.lower() for name in rows[0][1]] if rows else []
    empty = [""] * len(columns)
    return columns, [(line, [*cells, *empty[len(cells) :]]) for line, cells in rows[1:]]


class ScanTable:
    """Table of scans that several runs of a command fill, one after another or at once.

    A scan is written as its absolute path, whatever folder a command runs in, and a path in
    the file that is relative starts in the folder of the file. A link to a file is a scan of
    its own; links to folders are followed. The file is locked, read again and replaced for
    each scan, so that nothing is lost if a command is killed or others write to it. Rows of
    other scans stay, until their scan is measured again, and so do columns that others added.

    Args:
        path: the file; it need not exist. Its column `scan` holds the scans' paths.
        keys: columns that tell the rows of a scan apart, where it has several.

    Raises:
        ValueError: if it is another kind of file.
        OSError: if it cannot be read.
    """

    def __init__(self, path: str | os.PathLike, keys: Sequence[str] = ()) -> None:
        self.path = Path(path)
        # A link stays one, and all who write to the file lock the same.
        self._file = Path(os.path.realpath(path))
        self._keys = (_SCAN, *keys)
        self._wanted: list[str] | None = None
        self._columns: list[str] = []
        self._rows: list[list[str]] = []
        self._folders: dict[str, str] = {}
        self._measured: set[str] | None = None
        self._read()

    def __contains__(self, scan: object) -> bool:
        """Whether there was a row for a scan, with a value, when the file was last read."""
        if self._measured is None:
            filled = (row for row in self._rows if sum(map(bool, row)) > 1)
            self._measured = {self._place_in(row) for row in filled}
        return self._place(scan) in self._measured

    def begin(self, columns: Sequence[str]) -> None:
        """Say what is measured, and write the table.

        Args:
            columns: names of the columns after `scan`, in order.

        Raises:
            ValueError: if the file lacks one of them.
            OSError: if it cannot be written.
        """
        self._wanted = [_SCAN, *columns]
        with locked(self._file):
            self._read()
            self._write()

    def add(self, scan: str | os.PathLike, *rows: Mapping[str, object]) -> None:
        """Write the rows of a scan, in place of its rows so far.

        Args:
            scan: its path.
            rows: per row, column name to value.

        Raises:
            ValueError: if there is a value for an unknown column, or the file has become
                another.
            OSError: if the file cannot be written.
        """
        written = [_cells(self._wanted, {**row, _SCAN: self._place(scan)}) for row in rows]
        with locked(self._file):
            self._read()
            self._put(self._place(scan), written)
            self._write()

    def _put(self, place: str, written: list[list[str]]) -> None:
        """Replace the rows of a scan; columns of others keep what they say of the same row."""
        at = [self._columns.index(name) for name in self._wanted]
        keys = [self._columns.index(name) for name in self._keys]
        older = [i for i, row in enumerate(self._rows) if self._place_in(row) == place]
        known = {tuple(self._rows[i][k] for k in keys[1:]): self._rows[i] for i in reversed(older)}
        new = []
        for cells in written:
            row = [""] * len(self._columns)
            for index, cell in zip(at, cells, strict=True):
                row[index] = cell
            before = known.get(tuple(row[k] for k in keys[1:]), row)
            new.append([row[i] if i in at else before[i] for i in range(len(row))])
        first = older[0] if older else len(self._rows)
        kept = [row for i, row in enumerate(self._rows) if i not in older]
        self._rows, self._measured = [*kept[:first], *new, *kept[first:]], None

    def _write(self) -> None:
        mode = self._file.stat().st_mode if self._file.exists() else None
        write_rows(self._file, [self._columns, *self._rows])
        if mode is not None:  # others of the group may write to it as well
            os.chmod(self._file, mode)

    def _read(self) -> None:
        """Read the file as it is now."""
        self._measured = None
        found = []
        if self._file.is_file() and self._file.stat().st_size:
            found = list(
                split_rows(_text(self.path), delimiter_of(self.path), self.path, exact=True)
            )
        if not found:
            self._columns, self._rows = list(self._wanted or ()), []
            return
        (_, self._columns), *lines = found
        if self._columns.count(_SCAN) != 1:
            raise ValueError(
                f"{self.path} exists and is no table of scans, with a column `{_SCAN}`; "
                "give another file"
            )
        size, scan = len(self._columns), self._columns.index(_SCAN)
        self._rows = [[*row, *[""] * (size - len(row))] for _, row in lines]
        for (line, _), row in zip(lines, self._rows, strict=True):
            if len(row) > size or not row[scan]:
                raise ValueError(
                    f"{self.path}, line {line}: is no table of scans, a row must have {size} "
                    f"cells and a `{_SCAN}`; correct it, or give another file"
                )
        lacking = [name for name in self._wanted or () if self._columns.count(name) != 1]
        if lacking:
            raise ValueError(
                f"{self.path} holds {size} other columns, as of another model, and not "
                f"{lacking[0]!r}; give another file, or delete it"
            )

    def _place_in(self, row: list[str]) -> str:
        scan = row[self._columns.index(_SCAN)]
        return self._place(os.path.join(self._file.parent, scan))

    def _place(self, scan: object) -> str:
        folder, name = os.path.split(os.path.join(os.getcwd(), os.fspath(scan)))
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], name)


def _cells(columns: Sequence[str], row: Mapping[str, object]) -> list[str]:
    unknown = set(row) - set(columns)
    if unknown:
        raise ValueError(f"unexpected columns, none of {columns}: {sorted(unknown)}")
    return ["" if row.get(name) is None else str(row[name]) for name in columns]


def _text(path: Path) -> str:
    try:
        return read_text(path, paths=True)
    except ValueError as error:
        raise ValueError(f"{error}; give another file") from error


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
