"""Rows of label tables in the formats of other packages, read by what their columns are called."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from synthtf.data.delimited import DELIMITERS, number, split_rows
from synthtf.data.label_sides import split_side
from synthtf.data.text_files import split_lines

BRAIN = ("yes", "no", "csf")
SIDES = ("left", "right", "none")
COLUMNS = ("id", "name", "side", "partner", "output", "tissue", "brain")
PART_OF = "part_of"  # a column of tables that have parts of structures
WEIGHT = "weight"  # a column of tables whose labels do not count the same in a loss
_TABULAR = ("\t", ";", ",")
# What the columns are called, without blanks and signs, in the order in which they are looked for.
_CALLED = {
    "id": (
        *("id", "index", "labelid", "labelvalue", "labelnumber", "labelnum", "labelno"),
        *("labelindex", "value", "no", "number", "num", "key", "idx", "intensity"),
        *("roiid", "roinumber", "structureid", "regionid", "label"),
    ),
    "name": (
        *("name", "labelname", "structure", "structurename", "region", "regionname", "roiname"),
        *("labeltext", "anatomy", "roi", "label", "abbreviation"),
    ),
    "side": ("side", "hemi", "hemisphere", "laterality"),
    **{name: (name,) for name in ("partner", "output", "tissue", "brain")},
    PART_OF: ("partof",),
    WEIGHT: ("weight",),
}
_SIDE = {"l": "left", "lh": "left", "left": "left", "r": "right", "rh": "right", "right": "right"}
_SIDE |= dict.fromkeys(("none", "b", "both", "bilateral", "m", "mid", "midline"), "none")
_MISSING = ("", "-", "n/a", "N/A", "NA", "nan", "NaN")
_LABEL = re.compile(r"([+-]?\d+)(?:\.0*)?", re.ASCII)
_ITK_SNAP = 8  # cells of `id R G B A visible mesh "name"`


def parse_rows(text: str, path: Path) -> list[dict]:
    """Parse the text of a table in one of the formats that `LabelTable.read` accepts.

    Args:
        text: content of the file.
        path: path of the file, for the message.

    Returns:
        One dict per label with the columns of the file, always including `id` and `name`.

    Raises:
        ValueError: if a line is malformed or a label is listed twice; the message names file and
            line.
    """
    if text.lstrip().startswith("<"):
        found = _fsl_rows(text, path)
    else:
        lines = list(enumerate(split_lines(text), 1))
        content = [item for item in lines if item[1].strip() and item[1].lstrip()[0] != "#"]
        if not content:
            raise ValueError(f"{path} lists no labels")
        found = _with_header(text, path, lines, content[0]) or _without_header(text, path)
    seen: dict[int, int] = {}
    for line, row in found:
        if row["id"] in seen:
            raise ValueError(
                f"{path}, line {line}: label {row['id']} is listed twice "
                f"(first in line {seen[row['id']]})"
            )
        seen[row["id"]] = line
    if not found:
        raise ValueError(f"{path} lists no labels")
    return [row for _, row in found]


def fill_columns(rows: list[dict]) -> dict[str, tuple]:
    """Fill in what rows do not say, from the names of the structures.

    Args:
        rows: as from `parse_rows`.

    Returns:
        Column to its values: ids, names, partners, outputs, groups, brain, sides, structures,
        weights.
    """
    if all(row["id"] != 0 for row in rows):
        rows = [{"id": 0, "name": "background", "brain": "no"}, *rows]
    named = {row["id"]: split_side(row["name"]) for row in rows}
    by_name = {_own(row, named[row["id"]]): row["id"] for row in rows}
    opposite = {
        row["id"]: row.get("partner", by_name.get(_other(row, named[row["id"]]))) for row in rows
    }
    names = ("ids", "names", "partners", "outputs", "groups", "brain", "sides", "structures")
    columns: dict[str, list] = {name: [] for name in (*names, "weights")}
    for row in rows:
        side, _, bare = named[row["id"]]
        partner = opposite[row["id"]]
        # Repeated names do not give a partner; a stated partner is checked later.
        if "partner" not in row and opposite.get(partner) != row["id"]:
            partner = None
        columns["ids"].append(row["id"])
        columns["names"].append(row["name"])
        columns["partners"].append(partner)
        columns["outputs"].append(row.get("output", row["id"]))
        columns["groups"].append(row.get("tissue", bare))
        columns["brain"].append(row.get("brain", "yes" if row["id"] else "no"))
        columns["sides"].append(row.get("side", side))
        columns["structures"].append(row.get(PART_OF))
        columns["weights"].append(row.get(WEIGHT, 1.0))
    return {name: tuple(column) for name, column in columns.items()}


def check_row(
    label: int,
    output: int,
    brain: str,
    side: str,
    weight: float,
    partner: Mapping[int, int | None],
) -> None:
    """Refuse a row of a label table that contradicts itself or the partners of all labels.

    Raises:
        ValueError: says what is wrong.
    """
    if not 0 <= label < 2**31:
        raise ValueError(f"labels must lie in [0, 2^31). Received: {label}")
    if output not in partner:
        raise ValueError(f"label {label} counts as {output}, which is not listed")
    if brain not in BRAIN:
        raise ValueError(
            f"label {label}: `brain` must be one of {BRAIN}. Received: brain={brain!r}"
        )
    if side not in SIDES:
        raise ValueError(f"label {label}: `side` must be one of {SIDES}. Received: side={side!r}")
    if not 0 < weight < math.inf:
        raise ValueError(f"label {label}: `weight` must be above 0. Received: weight={weight}")
    other = partner[label]
    if other is None:
        return
    if other not in partner:
        raise ValueError(f"label {label} has the partner {other}, which is not listed")
    if other == label or partner[other] != label:
        raise ValueError(
            f"label {label} has the partner {other}, whose partner is {partner[other]}; "
            "partners must be mutual"
        )


def _own(row: dict, named: tuple[str, str, str]) -> tuple[str, str]:
    """Name and side of a structure: the side is in its name, or in a column."""
    return row["name"], row.get("side", "none") if named[0] == "none" else named[0]


def _other(row: dict, named: tuple[str, str, str]) -> tuple[str, str] | None:
    name, side = _own(row, named)
    if side == "none":
        return None
    return named[1] or name, "left" if side == "right" else "right"


def _with_header(
    text: str, path: Path, lines: list[tuple[int, str]], first: tuple[int, str]
) -> list[tuple[int, dict]] | None:
    """Rows of a table whose first line, or last remark before it, names its columns."""
    remarks = [line for n, line in lines if n < first[0] and line.lstrip().startswith("#")]
    titles = [(0, first[1]), *((1, line.lstrip("# \t")) for line in remarks[-1:])]
    for keep, title in titles:
        for delimiter in _TABULAR if keep else (*_TABULAR, " "):
            if delimiter not in title.strip():
                continue
            try:
                header = next(split_rows(title, delimiter, path))[1]
                beside = next(split_rows(first[1], delimiter, path))[1]
            except (ValueError, StopIteration):
                continue  # its quotes do not match, which is said below with the line
            columns = _columns(header)
            if keep and len(beside) != len(header):
                continue  # words about the table, not its columns
            if {"id", "name"} <= set(columns):
                _check_header(header, columns, f"{path}, line {first[0]}")
                rows = list(split_rows(text, delimiter, path))[1 - keep :]
                _check_numbers(rows, header, columns, path)
                return [
                    (line, _named(path, line, _tabular_row, cells, header, columns, delimiter))
                    for line, cells in rows
                ]
    return None


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Place of each column that has a known name."""
    called = [re.sub("[^a-z0-9]", "", cell.lower()) for cell in header]
    columns: dict[str, int] = {}
    for name, words in _CALLED.items():
        place = next((called.index(word) for word in words if word in called), None)
        if name == "name" and place is not None and place == columns.get("id"):
            words = [word for word in words if word != called[place]]
            place = next((called.index(word) for word in words if word in called), None)
        if place is not None:
            columns[name] = place
    return columns


def _check_header(header: Sequence[str], columns: dict[str, int], place: str) -> None:
    lower = [cell.lower() for cell in header]
    twice = [header[i] for i in columns.values() if lower.count(lower[i]) > 1]
    if twice:
        raise ValueError(f"{place}: two columns are called {twice[0]!r}; rename one")


def _check_numbers(
    rows: list[tuple[int, list[str]]], header: Sequence[str], columns: dict[str, int], path: Path
) -> None:
    """Refuse tables in which another column may be the labels just as well."""
    chosen = columns["id"]
    if header[chosen].lower() == "id":
        return
    called = [re.sub("[^a-z0-9]", "", cell.lower()) for cell in header]
    for place, word in enumerate(called):
        if word not in _CALLED["id"] or place in columns.values():
            continue
        others = [(line, c[chosen], c[place]) for line, c in rows if len(c) == len(header)]
        differ = [line for line, cell, other in others if cell != other]
        if differ and all(_LABEL.fullmatch(other) for *_, other in others):
            raise ValueError(
                f"{path}, line {differ[0]}: the columns {header[chosen]!r} and {header[place]!r} "
                "both number the labels, and differ; call the right one id"
            )


def _named(path: Path, line: int, parse: Callable[..., dict], *arguments: object) -> dict:
    try:
        return parse(*arguments)
    except ValueError as error:
        raise ValueError(f"{path}, line {line}: {error}") from None


def _tabular_row(
    cells: list[str], header: Sequence[str], columns: dict[str, int], delimiter: str
) -> dict:
    while len(cells) > len(header) and not cells[-1]:
        cells = cells[:-1]
    if len(cells) != len(header):
        raise ValueError(
            f"the line must have {len(header)} {DELIMITERS[delimiter]}-separated columns. "
            f"Received: {len(cells)}"
        )
    found = {name: cells[place] for name, place in columns.items()}
    if any("\n" in cell or "\r" in cell for cell in found.values()):
        raise ValueError("a cell goes over several lines; do its quotes match?")
    row: dict = {name: cell for name, cell in found.items() if cell not in _MISSING}
    if found["name"] not in ("", "-"):
        row["name"] = found["name"]
    if "id" not in row or "name" not in row:
        raise ValueError("`id` and `name` must not be empty")
    for name in ("id", "partner", "output"):
        if name in row:
            row[name] = _label(row[name])
    if WEIGHT in row:
        row[WEIGHT] = _weight(row[WEIGHT])
    # An empty cell means no partner; with a missing column, partners follow from the names.
    if "partner" in columns:
        row.setdefault("partner", None)
    if "side" in row:
        row["side"] = _SIDE.get(row["side"].lower(), row["side"])
    for name, allowed in (("side", SIDES), ("brain", BRAIN)):
        if row.get(name, allowed[0]) not in allowed:
            raise ValueError(f"`{name}` must be one of {allowed}. Received: {name}={row[name]!r}")
    return row


def _weight(cell: str) -> float:
    value = number(cell)
    if value is None:
        raise ValueError(f"`{WEIGHT}` must be a number. Received: {WEIGHT}={cell!r}")
    return value


def _without_header(text: str, path: Path) -> list[tuple[int, dict]]:
    """Rows of FreeSurfer's, Slicer's and ITK-SNAP's tables, or of a list of numbers and names."""
    reached, failure = 0, None
    for delimiter in (" ", *_TABULAR):
        rows: list[tuple[int, dict]] = []
        line = 0
        try:
            for line, cells in split_rows(text, delimiter, path):
                rows.append((line, _named(path, line, _plain_row, cells)))
            return rows
        except ValueError as error:
            # The delimiter that suits the most lines is the one that was meant.
            if line > reached or failure is None:
                reached, failure = line, error
    raise failure


def _plain_row(cells: list[str]) -> dict:
    end = next((i for i, cell in enumerate(cells) if i > 1 and cell.startswith("#")), len(cells))
    cells = cells[:end]
    is_number = [number(cell) is not None for cell in cells]
    if len(cells) == _ITK_SNAP and all(is_number[:-1]) and not is_number[-1]:
        return {"id": _label(cells[0]), "name": cells[-1]}
    colours = next((i for i, numeric in enumerate(is_number[2:]) if not numeric), len(cells) - 2)
    # What follows the colours is FreeSurfer's type of tissue, or a remark.
    if len(cells) < 2 or not cells[1] or (len(cells) > 2 and colours < 3):
        raise ValueError(
            "the line must be `id name R G B A`, or the first line must name the columns, such as "
            f"id and name. Received: {' '.join(cells)[:80]!r}"
        )
    if "\n" in cells[1] or "\r" in cells[1]:
        raise ValueError("a name goes over several lines; do its quotes match?")
    return {"id": _label(cells[0]), "name": cells[1]}


def _fsl_rows(text: str, path: Path) -> list[tuple[int, dict]]:
    """Rows of an atlas of FSL; in the map of a probabilistic one, 1 is the first label, index 0."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError(f"{path}: an atlas of FSL must have no document type of its own")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}, line {error.position[0]}: not XML ({error})") from error
    kind = (root.findtext("header/type") or "").strip().lower()
    if root.tag != "atlas" or kind not in ("label", "probabalistic", "probabilistic"):
        raise ValueError(
            f"{path}: must be an atlas of FSL, of the type Label or Probabilistic, where it is XML"
        )
    first = 0 if kind == "label" else 1
    rows = []
    for count, label in enumerate(root.iterfind("data/label"), 1):
        name = " ".join("".join(label.itertext()).split())
        if not name:
            raise ValueError(f"{path}: label {count} has no name")
        try:
            index = _label(label.get("index", ""))
        except ValueError as error:
            raise ValueError(f"{path}, label {count}: {error}") from None
        rows.append((count, {"id": index + first, "name": name}))
    return rows


def _label(text: str) -> int:
    found = _LABEL.fullmatch(text)
    if not found:
        raise ValueError(f"labels must be whole numbers. Received: {text!r}")
    label = int(found[1])
    if not 0 <= label < 2**31:
        raise ValueError(f"labels must lie in [0, 2^31). Received: {label}")
    return label
