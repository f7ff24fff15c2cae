"""Real scans with their labels or brain masks, listed in a table."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthtf.data.paths import existing_file, extension, listed_path
from synthtf.data.tables import read_table

_COLUMNS = ("image", "labels", "mask", "domain", "ct")
_YES, _NO = ("yes", "true", "1"), ("", "no", "false", "0")


@dataclass(frozen=True)
class LabelledScan:
    """A real scan, and what is known of it.

    Attributes:
        image: file of the scan.
        labels: file of its label map, or None.
        mask: file of its brain mask, or None.
        domain: what it is of, such as "T1".
        ct: whether it is in Hounsfield units.
    """

    image: Path
    labels: Path | None = None
    mask: Path | None = None
    domain: str = "real"
    ct: bool = False


def labelled_scans(scans: "str | os.PathLike | Iterable[LabelledScan]") -> list[LabelledScan]:
    """Read a table of labelled scans; give a list as it is.

    Args:
        scans: .csv or .tsv file with the column `image`, and `labels` or `mask` or both; `domain`
            and `ct` ("yes" for Hounsfield units) may be left out. Relative paths start in its
            folder.

    Returns:
        At least one scan.

    Raises:
        FileNotFoundError: if the table or a file that it names does not exist.
        ValueError: if a column or a cell is not as it should be; the message names the line.
    """
    if not isinstance(scans, str | os.PathLike):
        return list(scans)
    path = existing_file(scans, "table of scans")
    columns, rows = read_table(path)
    known = sorted(columns) == sorted({*columns} & {*_COLUMNS})
    if not known or "image" not in columns or not {"labels", "mask"} & {*columns}:
        raise ValueError(
            f"{path}: must have the columns image, labels or mask or both, and domain and ct if "
            f"they are known. Received: {', '.join(columns)}"
        )
    if not rows:
        raise ValueError(f"{path}: must name at least one scan")
    return [_scan(path, line, columns, cells) for line, cells in rows]


def domains_of(scans: Sequence[LabelledScan]) -> list[str]:
    """Give the domains of scans, each once, in their order."""
    return list(dict.fromkeys(scan.domain for scan in scans))


def _scan(path: Path, line: int, columns: list[str], cells: list[str]) -> LabelledScan:
    row = dict(zip(columns, cells, strict=False))
    if any(cells[len(columns) :]):
        raise ValueError(f"{path}, line {line}: must have {len(columns)} cells. Received: {cells}")
    files = {name: row[name] for name in ("image", "labels", "mask") if row.get(name)}
    if "image" not in files or len(files) < 2 or not all(map(extension, files.values())):
        raise ValueError(
            f"{path}, line {line}: must name a volume as image, and one as labels or mask. "
            f"Received: {cells}"
        )
    ct = row.get("ct", "").lower()
    if ct not in _YES + _NO:
        raise ValueError(f"{path}, line {line}: `ct` must be yes or no. Received: ct={ct}")
    found = {
        name: existing_file(listed_path(file, path, line), f"{path}, line {line}")
        for name, file in files.items()
    }
    return LabelledScan(**found, domain=row.get("domain") or "real", ct=ct in _YES)
