"""Comparing files of segmentations with references, pair by pair."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from synthtf.batch import Outcome, for_each_file
from synthtf.data.grid import check_same_grid
from synthtf.data.label_table import LabelTable, count_labels
from synthtf.data.pairing import name_partnerless, pair_files
from synthtf.data.paths import writable_file
from synthtf.data.tables import ScanTable, format_table
from synthtf.data.volumes import Volume, read_volume
from synthtf.evaluation.averages import (
    CENTRE_LINES,
    MEASURES,
    mean,
    mean_over_labels,
    mean_over_scans,
)
from synthtf.evaluation.comparing import evaluate
from synthtf.evaluation.objects import match_objects
from synthtf.usage import usage_errors

_COLUMNS = {
    "label": "d",
    "name": "",
    "dice": ".3f",
    "hausdorff95_mm": ".2f",
    CENTRE_LINES: ".3f",
    "volume_mm3": ".0f",
    "reference_volume_mm3": ".0f",
}
_OBJECTS = {
    "objects": "d",
    "reference_objects": "d",
    "matched": "d",
    "average_precision": ".3f",
    "mean_iou": ".3f",
}
Measure = Callable[[Volume, Volume], list[dict]]


def evaluate_files(
    predictions: str | os.PathLike,
    references: str | os.PathLike,
    *,
    labels: str | os.PathLike | None = None,
    csv: str | os.PathLike | None = None,
    centre_lines: bool = False,
) -> Outcome:
    """Compare segmentations with references on the same grids.

    Args:
        predictions: a file, a folder, or a .txt list.
        references: the same kind; see `pair_files`.
        labels: table of the names of labels.
        csv: file with a row per scan and label; rows of other scans in it stay.
        centre_lines: whether labels are tubes, whose centre lines are compared as well.

    Returns:
        How many were compared, and which failed or have no partner; as text a table of the means.

    Raises:
        ValueError: if the files do not fit.
        OSError: if the table cannot be written.
    """
    with usage_errors():
        table = LabelTable.read(labels) if labels else None

    def measure(prediction: Volume, reference: Volume) -> list[dict]:
        counts = [count_labels(volume.data) for volume in (prediction, reference)]
        known = table or LabelTable.from_labels({*counts[0], *counts[1]})
        for volume, found_there in zip((prediction, reference), counts, strict=True):
            known.check(found_there, volume.name)
        return evaluate(prediction, reference, known, centre_lines)

    columns = ["name", *MEASURES, *([CENTRE_LINES] if centre_lines else [])]
    outcome, found = _compare(predictions, references, csv, ["label"], columns, measure)
    return replace(outcome, text=_summary(found) if found else "")


def evaluate_objects(
    predictions: str | os.PathLike,
    references: str | os.PathLike,
    *,
    csv: str | os.PathLike | None = None,
) -> Outcome:
    """Compare objects that are told apart, such as cells, with references on the same grids.

    Args:
        predictions: a file, a folder, or a .txt list of label maps, a number for each object.
        references: the same kind; see `pair_files`.
        csv: file with a row per scan; rows of other scans in it stay.

    Returns:
        As `evaluate_files`; see `match_objects` for what is measured.

    Raises:
        ValueError: if the files do not fit.
        OSError: if the table cannot be written.
    """

    def measure(prediction: Volume, reference: Volume) -> list[dict]:
        check_same_grid(prediction, reference)
        match = match_objects(prediction.data, reference.data)
        return [{name: getattr(match, name) for name in _OBJECTS}]

    outcome, found = _compare(predictions, references, csv, [], list(_OBJECTS), measure)
    rows = [{"scan": str(path), **row} for path, (row,) in found.items()]
    if len(rows) > 1:
        means = {name: mean(row[name] for row in rows) for name in list(_OBJECTS)[-2:]}
        rows.append({"scan": "mean", **means})
    return replace(outcome, text=format_table({"scan": "", **_OBJECTS}, rows) if rows else "")


def _compare(
    predictions: str | os.PathLike,
    references: str | os.PathLike,
    csv: str | os.PathLike | None,
    keys: list[str],
    columns: list[str],
    measure: Measure,
) -> tuple[Outcome, dict[Path, list[dict]]]:
    """Measure pairs of label maps, and write a table of the rows that are found for each."""
    with usage_errors():
        pairs, alone = pair_files(predictions, references)
        output = writable_file(csv, "--csv")
        rows = None if output is None else ScanTable(output, keys=keys)
        if rows is not None:
            rows.begin([*keys, *columns])
    found: dict[Path, list[dict]] = {}

    def compare_one(pair: tuple[Path, Path]) -> None:
        result = measure(*(read_volume(path, labels=True) for path in pair))
        if rows is not None:
            rows.add(pair[0], *result)
        found[pair[0]] = result

    outcome = for_each_file("evaluate", pairs, compare_one, name=lambda pair: pair[0])
    return name_partnerless("evaluate", alone, outcome), found


def _summary(found: Mapping[Path, Sequence[dict]]) -> str:
    """Means over scans for each label, and over all."""
    rows = mean_over_scans(list(found.values()))
    columns = {name: shown for name, shown in _COLUMNS.items() if not rows or name in rows[0]}
    if len(found) == 1:
        return format_table(columns, [*rows, mean_over_labels(rows)])
    scans = [{**mean_over_labels(table), "scan": str(path)} for path, table in found.items()]
    overall = {name: columns[name] for name in list(columns)[2:] if name in scans[0]}
    return "\n".join(
        (
            format_table({"scan": "", **overall}, scans),
            f"\nMean of {len(found)} scans",
            format_table({**columns, "scans": "d"}, [*rows, mean_over_labels(rows)]),
        )
    )
