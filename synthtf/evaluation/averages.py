"""Averages over the structures and the scans of an evaluation."""

import math
from collections.abc import Iterable, Mapping, Sequence

MEASURES = ("dice", "hausdorff95_mm", "volume_mm3", "reference_volume_mm3")
"""What `evaluate` measures for each label."""

CENTRE_LINES = "centre_line_dice"
"""What it measures besides, of tubes."""

Row = Mapping[str, object]


def mean_over_scans(tables: Sequence[Sequence[Row]]) -> list[dict[str, object]]:
    """Average the rows of `evaluate` for each label.

    Args:
        tables: For each scan, its rows.

    Returns:
        A row per label, by value, with `label`, `name`, the measures, and the number
        of `scans` that have the label. What is not a number does not count.
    """
    by_label: dict[int, list[Row]] = {}
    for row in (row for table in tables for row in table):
        by_label.setdefault(row["label"], []).append(row)
    return [
        {"label": label, "name": rows[0]["name"], "scans": len(rows)}
        | {m: mean(row[m] for row in rows) for m in (*MEASURES, CENTRE_LINES) if m in rows[0]}
        for label, rows in sorted(by_label.items())
    ]


def mean_over_labels(rows: Sequence[Row]) -> dict[str, object]:
    """Average rows over their labels, each with the same weight.

    Args:
        rows: Rows of `evaluate` or `mean_over_scans`.

    Returns:
        One row called `mean`, with overlap and distance, and that of centre lines.
    """
    measures = [*MEASURES[:2], *(CENTRE_LINES for row in rows[:1] if CENTRE_LINES in row)]
    return {"name": "mean"} | {m: mean(row[m] for row in rows) for m in measures}


def mean(values: Iterable[float]) -> float:
    """Mean of the values that are numbers; NaN if there are none.

    Example:
        >>> mean([1.0, float("nan"), 3.0])
        2.0
    """
    numbers = [value for value in values if not math.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else math.nan
