"""Tables of what was measured, as CSV."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_table(
    path: str | os.PathLike, columns: Sequence[str], rows: Sequence[Mapping[str, object]]
) -> None:
    """Write a CSV file with a header line; it replaces an existing file only when complete.

    Args:
        path: The file.
        columns: Names of the columns, in order.
        rows: Per row, column name to value; what a row lacks stays empty.

    Raises:
        ValueError: If a row has a value for an unknown column.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(columns))
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def volume_columns(names: Mapping[int, str], labels: Sequence[int]) -> dict[int, str]:
    """Column name of each label: the structure's name, numbered where names repeat.

    Args:
        names: Label value to name; a label without one is called by its value.
        labels: Label values; zero, the background, is left out.

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
        columns: Title of each column to how its values are formatted, as in `format`;
            numbers are set to the right.
        rows: Per row, title to value; what is missing or NaN becomes a hyphen.

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
