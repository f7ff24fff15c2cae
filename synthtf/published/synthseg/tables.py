"""The CSV files of SynthSeg: a row for each scan."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from synthtf.published.files import Files

_SUBJECT = "subject"


class Tables:
    """Files of one kind of table.

    Args:
        files: all files of the command.
        kind: "volumes" or "quality".
        columns: names of what is told.
    """

    def __init__(self, files: Files, kind: str, columns: Sequence[str]) -> None:
        self._paths, self._shared, self._columns = files.tables[kind], files.shared, list(columns)
        if files.shared:
            self._write(self._paths[0], [[_SUBJECT, *self._columns]], "w")

    def add(self, index: int, scan: Path, values: Iterable[str]) -> None:
        """Write the row of a scan: into the table of all, or into its own one.

        Args:
            index: number of the scan.
            scan: its file.
            values: text of each column.
        """
        row = [scan.name.replace(".nii.gz", ""), *values]
        if self._shared:
            self._write(self._paths[0], [row], "a")
        else:
            self._write(self._paths[index], [["", *self._columns], row], "w")

    @staticmethod
    def _write(path: Path, rows: list[list[str]], mode: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode, newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(rows)
