"""A BIDS data set as BIDS-Apps process it: each participant, then the group."""

import functools
import json
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthtf.batch import Outcome
from synthtf.data.bids import DatasetPart, check_output_folder, is_dataset
from synthtf.data.bids_description import ignore_files
from synthtf.data.delimited import write_rows
from synthtf.data.own_files import own_facts
from synthtf.data.whole_files import write_whole
from synthtf.inference.cohorts.jobs import CohortOptions
from synthtf.inference.cohorts.pairing import ScanPairs
from synthtf.inference.cohorts.provenance import VOLUMES
from synthtf.inference.cohorts.registering import RegistrationOutputs, register_cohort
from synthtf.inference.cohorts.segmenting import segment_cohort
from synthtf.inference.cohorts.stripping import strip_cohort
from synthtf.inference.defaults import APP_CHOSEN
from synthtf.inference.patches.memory import MemoryBudget
from synthtf.usage import usage_errors

_OPTIONS = CohortOptions()
_MEASURED = {"segment": "dseg", "strip": "mask", "register": "xfm"}
"""Suffix of the files whose JSON files make the rows of a task's table."""

_MISSING = "n/a"  # as BIDS has it
_DESCRIBED = {
    "participant_id": "Participant",
    "session_id": "Session",
    "scan": "Scan in the data set; of a registration, the one that moves",
    "fixed": "Scan to which it moves",
    "error": "Why the result is of no use",
    "warnings": "Number of warnings",
    "number_of_lesions": "Number of lesions",
}


@dataclass(frozen=True)
class Processing:
    """How scans are processed.

    Attributes:
        flip: whether predictions are averaged with those on the mirrored scan.
        ct: whether scans are in Hounsfield units.
        budget: memory that the process may take. None: all there is.
        options: JSON files, which the table of the group needs, and what is skipped.
    """

    flip: bool = True
    ct: bool = False
    budget: MemoryBudget | None = None
    options: CohortOptions = field(default=_OPTIONS)


def process_dataset(
    source: DatasetPart | str | os.PathLike,
    output: str | os.PathLike,
    level: str,
    tasks: Sequence[str] = APP_CHOSEN,
    processing: Processing | None = None,
) -> Outcome:
    """Process a BIDS data set as BIDS-Apps do.

    Args:
        source: the data set, or a part of it.
        output: folder that becomes a BIDS data set of derivatives.
        level: "participant", for the outputs of each scan; or "group", for a table per task, of
            what the JSON files of these outputs say.
        tasks: some of `APP_TASKS`.
        processing: how scans are processed.

    Returns:
        How many scans were processed over all tasks, and which failed and why; for the group, the
        tables as its text.

    Raises:
        ValueError: if the source is no data set, or the output does not fit.
        OSError: if a file cannot be written.
    """
    with usage_errors():
        if not is_dataset(source):
            raise ValueError(
                f"{Path(source)} must be a BIDS data set, with a dataset_description.json. "
                f"Received: {'a folder' if Path(source).is_dir() else 'no folder'} without it"
            )
        part = source if isinstance(source, DatasetPart) else DatasetPart(source)
        if level == "group":
            check_output_folder(output, part)
            return _group(part, Path(output), tasks)
        # Pairs are found before the first task begins.
        calls = [_call(task, part, output, processing or Processing()) for task in tasks]
    outcomes = [call() for call in calls]
    return Outcome(
        sum(outcome.done for outcome in outcomes),
        sum(outcome.skipped for outcome in outcomes),
        tuple(failure for outcome in outcomes for failure in outcome.failures),
    )


def _call(
    task: str, part: DatasetPart, output: str | os.PathLike, how: Processing
) -> Callable[[], Outcome]:
    """Work of a task, which is still to be done."""
    if task == "register":
        outputs = RegistrationOutputs(moved=output, transform=output)
        ct = ("moving", "fixed") if how.ct else ()
        pairs = ScanPairs.of(part)
        return functools.partial(register_cohort, pairs, outputs, ct=ct, options=how.options)
    common = {"flip": how.flip, "ct": how.ct, "budget": how.budget, "options": how.options}
    if task == "strip":
        return functools.partial(strip_cohort, part, output, mask=output, **common)
    return functools.partial(segment_cohort, part, output, **common)


def _group(part: DatasetPart, output: Path, tasks: Sequence[str]) -> Outcome:
    """Write the table of each task, and what its columns are."""
    folders = [output / folder.relative_to(part.root) for folder in part.folders()]
    found = {task: _rows(folders, output, _MEASURED[task]) for task in tasks}
    for task, rows in found.items():
        if not rows:
            raise ValueError(
                f"{output} must hold results of the task {task}: run the participant level first, "
                "or give other tasks"
            )
    tables = []
    for task, rows in found.items():
        done = {row["participant_id"] for row in rows}
        lacking = sorted({folder.relative_to(output).parts[0] for folder in folders} - done)
        if lacking:
            warnings.warn(
                f"{output}: no results of the task {task} for {len(lacking)} participants, for "
                f"instance {lacking[0]}",
                stacklevel=2,
            )
        tables.append(output / f"group_{task}.tsv")
        _write(tables[-1], rows)
    ignore_files(output, ["group_*"])
    return Outcome(len(tables), text="\n".join(map(str, tables)))


def _rows(folders: Sequence[Path], output: Path, suffix: str) -> list[dict[str, Any]]:
    """Rows of the outputs of a kind; volumes under the names of their structures."""
    rows = []
    paths = [path for folder in folders for path in sorted(folder.glob(f"anat/*_{suffix}.json"))]
    for path in paths:
        facts = own_facts(path)
        if not facts:
            continue
        subject, session = path.relative_to(output).parts[:2]
        scans = [uri.rpartition(":")[2] for uri in facts.get("Sources", ())]
        row = {"participant_id": subject}
        row["session_id"] = session if session.startswith("ses-") else _MISSING
        row |= dict(zip(("scan", "fixed"), scans, strict=False))
        row["warnings"] = len(facts.get("Warnings", ()))
        row["error"] = facts.get("Error", _MISSING)
        if "Error" not in facts:
            row[VOLUMES] = facts.get(VOLUMES, {})
            if "NumberOfLesions" in facts:
                row["number_of_lesions"] = facts["NumberOfLesions"]
        rows.append(row)
    return rows


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row.get(VOLUMES, ())))
    columns = _columns(names)
    known = [name for name in _DESCRIBED if any(name in row for row in rows)]
    lines = [
        [row.get(name, _MISSING) for name in known]
        + [row.get(VOLUMES, {}).get(name, _MISSING) for name in names]
        for row in rows
    ]
    write_rows(path, [[*known, *columns], *lines])
    facts = {name: {"Description": _DESCRIBED[name]} for name in known}
    facts |= {
        column: {"LongName": name, "Description": f"Volume of {name}", "Units": "mm^3"}
        for column, name in zip(columns, names, strict=True)
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    write_whole(path.with_suffix(".json"), text.encode())


def _columns(names: Sequence[str]) -> list[str]:
    """Names of columns in snake case, as BIDS wants them, each once.

    Example:
        >>> _columns(["Left-Cerebral-White-Matter", "CSF", "csf", "3rd ventricle"])
        ['left_cerebral_white_matter', 'csf', 'csf_2', '3rd_ventricle']
    """
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "volume"
        number = next(n for n in range(1, len(names) + 2) if _numbered(plain, n) not in found)
        found.append(_numbered(plain, number))
    return found


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number > 1 or name in _DESCRIBED else name
