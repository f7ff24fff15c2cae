"""Lines of look-up tables: tab-separated values, and FreeSurfer's format."""

import re
from pathlib import Path

BRAIN = ("yes", "no", "csf")
SIDES = ("left", "right", "none")
COLUMNS = ("id", "name", "side", "partner", "output", "tissue", "brain")
_SIDE_OF = {"left": "left", "lh": "left", "right": "right", "rh": "right"}
# The case is kept: FreeSurfer's table has both ctx-lh-unknown and ctx-lh-Unknown.
_SWAPPED = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "lh": "rh", "LH": "RH"}
_SWAPPED |= {right: left for left, right in _SWAPPED.items()}
# Left-Thalamus, left thalamus, ctx-lh-bankssts, wm_rh_insula, lh_cortex
_SIDE = re.compile(
    r"^(?P<before>(?:[A-Za-z]+[-_])?)"
    r"(?P<side>left|right|Left|Right|LEFT|RIGHT|lh|rh|LH|RH)(?P<gap>[-_. ])(?P<after>.+)$"
)


def parse_rows(lines: list[str], path: Path) -> list[dict]:
    """Parse the lines of either format that `LabelTable.read` accepts.

    Args:
        lines: lines of the file.
        path: path of the file, for the message.

    Returns:
        One dict per label with the columns of the file, always including `id` and `name`.

    Raises:
        ValueError: if a line is malformed or a label is listed twice; the message names file and
            line.
    """
    content = [(n, line) for n, line in enumerate(lines, 1) if line.strip()]
    content = [(n, line) for n, line in content if not line.lstrip().startswith("#")]
    if not content:
        raise ValueError(f"{path} lists no labels")
    header = [name.strip().lower() for name in content[0][1].split("\t")]
    tabular = "id" in header
    if tabular:
        content = content[1:]
        if "name" not in header or len(set(header)) < len(header):
            raise ValueError(
                f"{path}, line 1: the columns must be id, name and any of {COLUMNS[2:]}. "
                f"Received: {header}"
            )
    rows, seen = [], {}
    for number, line in content:
        try:
            row = _tsv_row(line, header) if tabular else _lut_row(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        if row["id"] in seen:
            raise ValueError(
                f"{path}, line {number}: label {row['id']} is listed twice "
                f"(first in line {seen[row['id']]})"
            )
        seen[row["id"]] = number
        rows.append(row)
    return rows


def _tsv_row(line: str, header: list[str]) -> dict:
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) != len(header):
        raise ValueError(
            f"the line must have {len(header)} tab-separated columns. Received: {len(cells)}"
        )
    row = {name: cell for name, cell in zip(header, cells, strict=True) if cell not in {"", "-"}}
    if "id" not in row or "name" not in row:
        raise ValueError("`id` and `name` must not be empty")
    for name in ("id", "partner", "output"):
        if name in row:
            row[name] = _label(row[name])
    # An empty cell means no partner; with a missing column, partners follow from the names.
    if "partner" in header:
        row.setdefault("partner", None)
    for name, allowed in (("side", SIDES), ("brain", BRAIN)):
        if row.get(name, allowed[0]) not in allowed:
            raise ValueError(f"`{name}` must be one of {allowed}. Received: {name}={row[name]!r}")
    return row


def _lut_row(line: str) -> dict:
    cells = line.split("#")[0].split()
    if len(cells) not in (2, 5, 6) or not all(cell.isdigit() for cell in cells[2:]):
        raise ValueError(f"the line must be `id name R G B A`. Received: {line.strip()!r}")
    return {"id": _label(cells[0]), "name": cells[1]}


def _label(text: str) -> int:
    try:
        label = int(text)
    except ValueError:
        raise ValueError(f"labels must be whole numbers. Received: {text!r}") from None
    if not 0 <= label < 2**31:
        raise ValueError(f"labels must lie in [0, 2^31). Received: {label}")
    return label


def split_side(name: str) -> tuple[str, str, str]:
    """Take the side out of the name of a structure.

    Args:
        name: name such as "Left-Thalamus" or "ctx-lh-insula".

    Returns:
        "left", "right" or "none"; the name on the other side, or ""; the name without its side.

    Example:
        >>> split_side("Left-Thalamus")
        ('left', 'Right-Thalamus', 'Thalamus')
    """
    found = _SIDE.match(name)
    if not found:
        return "none", "", name
    before, side, gap, after = found.group("before", "side", "gap", "after")
    return _SIDE_OF[side.lower()], f"{before}{_SWAPPED[side]}{gap}{after}", before + after
