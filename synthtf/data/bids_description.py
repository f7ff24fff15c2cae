"""What a BIDS data set of derivatives has for all its files: description, README, tables."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synthtf.data.bids import DESCRIPTION, SOURCE, TOOL, Derivative, is_dataset, read_description
from synthtf.data.delimited import split_rows, write_rows
from synthtf.data.tables import refuse_other_file
from synthtf.data.text_files import read_text
from synthtf.data.whole_files import write_whole

_VERSION = "1.10.0"
_README = """# {name}

Made by {tool} {version}. The JSON file beside each file says which scan it was made from, by which
network and command, and which warnings there were. `dataset_description.json` names the data set
of the scans.
"""
_UNKNOWN_TO_BIDS = ("sdt", "xfm", "figure", "uncertainty", "field")


def describe_derivatives(
    folder: str | os.PathLike, root: str | os.PathLike, version: str, kinds: list[Derivative]
) -> None:
    """Make a folder a BIDS data set of derivatives.

    Args:
        folder: folder of the derivatives; made if it does not exist.
        root: folder of the data set that they are derived from.
        version: version of the package.
        kinds: kinds of files in the folder. A new `.bidsignore` lists those unknown to BIDS.

    Raises:
        OSError: if a file cannot be written.
    """
    folder, root = Path(folder), Path(root)
    here, there = folder.resolve(), root.resolve()
    source = read_description(root)
    link = os.path.relpath(there, here) if there in here.parents else there.as_uri()
    origin = {"URL": there.as_uri()}
    if "DatasetDOI" in source:
        origin["DOI"] = source["DatasetDOI"]
    known = read_description(folder) if is_dataset(folder) else {}
    facts = {
        "Name": f"Outputs of {TOOL} for {source.get('Name') or there.name}",
        "BIDSVersion": _VERSION,
        "DatasetType": "derivative",
        **({"Authors": source["Authors"]} if "Authors" in source else {}),
        **known,  # what the user added, or another tool
        "GeneratedBy": _with(known, "GeneratedBy", {"Name": TOOL, "Version": version}, "Name"),
        "SourceDatasets": _with(known, "SourceDatasets", origin, "URL"),
        "DatasetLinks": {**(known.get("DatasetLinks") or {}), SOURCE: link},
    }
    write_whole(folder / DESCRIPTION, (json.dumps(facts, indent=2) + "\n").encode())
    if not any(path.stem == "README" for path in folder.iterdir()):
        text = _README.format(name=facts["Name"], tool=TOOL, version=version)
        write_whole(folder / "README.md", text.encode())
    suffixes = {kind.suffix for kind in kinds}
    ignore_files(folder, [f"*_{suffix}.*" for suffix in _UNKNOWN_TO_BIDS if suffix in suffixes])


def ignore_files(folder: str | os.PathLike, patterns: Sequence[str]) -> None:
    """Add files that BIDS does not know to the `.bidsignore` of a data set.

    Args:
        folder: folder of the data set.
        patterns: names of files, as in a `.gitignore`.

    Raises:
        OSError: if the file cannot be written.
    """
    path = Path(folder) / ".bidsignore"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [pattern for pattern in patterns if pattern not in text.splitlines()]
    if lines:
        kept = text and text.rstrip("\n") + "\n"
        write_whole(path, (kept + "\n".join(lines) + "\n").encode())


def write_look_up_table(folder: str | os.PathLike, names: Mapping[int, str]) -> None:
    """Write `dseg.tsv`, which names the labels in the segmentations of a data set.

    Other labels that it lists already stay. No `dseg.json` says what its
    columns are: BIDS would have it say the same of all segmentations.

    Args:
        folder: folder of the data set.
        names: label value to name.

    Raises:
        ValueError: if it exists with other columns.
        OSError: if the file cannot be written.
    """
    path, columns = Path(folder) / "dseg.tsv", ("index", "name")
    refuse_other_file(path, columns)
    rows = {str(value): (value, name) for value, name in names.items()}
    if path.is_file():
        known = [cells for _, cells in split_rows(read_text(path), "\t", path)][1:]
        rows = {cells[0]: cells for cells in known} | rows
    write_rows(path, [columns, *rows.values()])


def _with(facts: dict[str, Any], name: str, entry: dict[str, Any], key: str) -> list[Any]:
    """Put an entry into a list of a description, in the place of the one with its key."""
    entries = facts.get(name)
    entries = entries if isinstance(entries, list) else []
    return [e for e in entries if not isinstance(e, dict) or e.get(key) != entry[key]] + [entry]
