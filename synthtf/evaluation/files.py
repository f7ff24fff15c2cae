"""Comparing files of segmentations with references, pair by pair."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from synthtf.batch import Outcome, for_each_file
from synthtf.data.label_table import LabelTable, count_labels
from synthtf.data.pairing import name_partnerless, pair_files
from synthtf.data.paths import writable_file
from synthtf.data.tables import ScanTable, format_table
from synthtf.data.volumes import read_volume
from synthtf.evaluation.averages import MEASURES, mean_over_labels, mean_over_scans
from synthtf.evaluation.comparing import evaluate
from synthtf.usage import usage_errors

_TABLE = ("scan", "label", "name", *MEASURES)
_COLUMNS = {
    "label": "d",
    "name": "",
    "dice": ".3f",
    "hausdorff95_mm": ".2f",
    "volume_mm3": ".0f",
    "reference_volume_mm3": ".0f",
}


def evaluate_files(
    predictions: str | os.PathLike,
    references: str | os.PathLike,
    *,
    labels: str | os.PathLike | None = None,
    csv: str | os.PathLike | None = None,
) -> Outcome:
    """Compare segmentations with references on the same grids.

    Args:
        predictions: a file, a folder, or a .txt list.
        references: the same kind; see `pair_files`.
        labels: table of the names of labels.
        csv: file with a row per scan and label; rows of other scans in it stay.

    Returns:
        How many were compared, and which failed or have no partner; as text a table of the means.

    Raises:
        ValueError: if the files do not fit.
        OSError: if the table cannot be written.
    """
    with usage_errors():
        pairs, alone = pair_files(predictions, references)
        table = LabelTable.read(labels) if labels else None
        output = writable_file(csv, "--csv")
        rows = None if output is None else ScanTable(output, keys=["label"])
        if rows is not None:
            rows.begin(["label", "name", *MEASURES])
    found: dict[Path, list[dict]] = {}

    def evaluate_one(pair: tuple[Path, Path]) -> None:
        prediction, reference = (read_volume(path, labels=True) for path in pair)
        counts = [count_labels(volume.data) for volume in (prediction, reference)]
        known = table or LabelTable.from_labels({*counts[0], *counts[1]})
        for path, found_there in zip(pair, counts, strict=True):
            known.check(found_there, str(path))
        result = evaluate(prediction, reference, known)
        if rows is not None:
            rows.add(pair[0], *result)
        found[pair[0]] = result

    outcome = for_each_file("evaluate", pairs, evaluate_one, name=lambda pair: pair[0])
    outcome = name_partnerless("evaluate", alone, outcome)
    return replace(outcome, text=_summary(found) if found else "")


def _summary(found: Mapping[Path, Sequence[dict]]) -> str:
    """Means over scans for each label, and over all."""
    rows = mean_over_scans(list(found.values()))
    if len(found) == 1:
        return format_table(_COLUMNS, [*rows, mean_over_labels(rows)])
    scans = [{**mean_over_labels(table), "scan": str(path)} for path, table in found.items()]
    return "\n".join(
        (
            format_table({"scan": "", "dice": ".3f", "hausdorff95_mm": ".2f"}, scans),
            f"\nMean of {len(found)} scans",
            format_table({**_COLUMNS, "scans": "d"}, [*rows, mean_over_labels(rows)]),
        )
    )
