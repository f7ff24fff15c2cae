"""Dice on real scans: per structure, per domain, and which epoch was the best."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from synthtf.evaluation.averages import mean

VALIDATION = "validation.csv"
"""File of a run that has the Dice on real scans."""

_COLUMNS = ("epoch", "domain", "label", "name", "scans", "dice")

Row = Mapping[str, Any]


def average_scans(
    epoch: int, found: Iterable[tuple[str, Mapping[tuple[int, str], float]]]
) -> list[dict[str, Any]]:
    """Average the Dice of each structure over the scans of each domain.

    Args:
        epoch: of all rows.
        found: for each scan its domain, and label and name of each structure to its Dice.

    Returns:
        Rows of `validation.csv`, by domain and label.
    """
    domains: dict[str, dict[tuple[int, str], list[float]]] = {}
    for domain, scores in found:
        structures = domains.setdefault(domain, {})
        for structure, score in scores.items():
            structures.setdefault(structure, []).append(score)
    return [
        dict(zip(_COLUMNS, (epoch, domain, *structure, len(s), mean(s)), strict=True))
        for domain, structures in domains.items()
        for structure, s in sorted(structures.items())
    ]


def domain_scores(rows: Iterable[Row]) -> dict[str, float]:
    """Average the rows of an epoch over the labels of each domain."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["domain"], []).append(row["dice"])
    return {domain: mean(scores) for domain, scores in found.items()}


def best_epoch(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Give the epoch whose worst domain is the best; of equal ones, the first.

    Args:
        rows: of `validation.csv`.

    Returns:
        "epoch", "domain" (the worst), "dice" (its own) and "domains" (the Dice of all). None if
        there are no rows.

    Example:
    >>> rows = [
    ...     {"epoch": 0, "domain": "T1", "dice": 0.5}, {"epoch": 0, "domain": "T2", "dice": 0.4},
    ...     {"epoch": 1, "domain": "T1", "dice": 0.9}, {"epoch": 1, "domain": "T2", "dice": 0.1},
    ... ]
    >>> best_epoch(rows)["epoch"], best_epoch(rows)["domain"]
    (0, 'T2')
    """
    best = None
    for epoch in sorted({row["epoch"] for row in rows}):
        scores = domain_scores(row for row in rows if row["epoch"] == epoch)
        domain = min(scores, key=scores.get)
        if best is None or scores[domain] > best["dice"]:
            best = {"epoch": epoch, "domain": domain, "dice": scores[domain], "domains": scores}
    return best


def score_table(rows: Sequence[Row]) -> list[Sequence[Any]]:
    """Give `validation.csv` as cells, the titles first."""
    return [_COLUMNS, *([row[name] for name in _COLUMNS] for row in rows)]
