"""Data sets in the Brain Imaging Data Structure (BIDS): their scans, and derivatives of them.

Rules of BIDS 1.10 (https://bids-specification.readthedocs.io), sections "Magnetic Resonance
Imaging" and "BIDS Derivatives". The name of a derivative is that of its scan up to the suffix,
then `_space-orig` unless it is an image of the same kind, `_desc-<label>` and its own suffix. The
contrasts of a session may have the same name up to the suffix. Therefore the label ends with the
suffix of the scan, as in `_desc-brainT2w_mask`; for a T1w scan it is the plain `_desc-brain_mask`.
"""

import json
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthtf.data.delimited import split_rows, write_rows
from synthtf.data.paths import extension, output_in, stem
from synthtf.data.tables import refuse_other_file
from synthtf.data.text_files import read_text
from synthtf.data.whole_files import write_whole

_DESCRIPTION = "dataset_description.json"
_VERSION = "1.10.0"
_TOOL = "synthtf"
_SOURCE = "raw"  # name of the source in BIDS URIs
_PLAIN = "T1w"  # scan suffix that is left out of `desc` labels
_SCAN_SUFFIX = re.compile(  # all suffixes of `anat` except masks
    "T1w|T2w|PDw|T2starw|FLAIR|inplaneT1|inplaneT2|PDT2|angio|T2star|FLASH|PD|T1map|T2map|"
    "T2starmap|R1map|R2map|R2starmap|PDmap|MTRmap|MTsat|UNIT1|T1rho|MWFmap|MTVmap|Chimap|S0map|"
    "M0map|MESE|MEGRE|VFA|IRT1|MP2RAGE|MPM|MTS|MTR"
)
_LABEL = "[0-9a-zA-Z+]+"
NAME = re.compile(f"(?P<entities>[a-z]+-{_LABEL}(?:_[a-z]+-{_LABEL})*)_(?P<suffix>[0-9a-zA-Z]+)")
# Order of entities in a name, from the first that comes after `space`.
_AFTER_SPACE = (
    *("split", "recording", "chunk", "atlas", "seg", "scale", "res", "den", "label", "desc"),
)
_PHASES = ("part-phase", "part-real", "part-imag")
_UNKNOWN_TO_BIDS = ("sdt", "xfm", "figure", "uncertainty")


@dataclass(frozen=True)
class Derivative:
    """A kind of file that is derived from scans.

    Attributes:
        label: label of the entity `desc`.
        suffix: suffix such as "dseg" or "mask". None for an image that keeps the suffix of its
            scan.
    """

    label: str
    suffix: str | None = None

    def name(self, scan: str | os.PathLike) -> str:
        """Name the file that is derived from a scan.

        Args:
            scan: path or name of the scan in BIDS form.

        Returns:
            The file name.

        Example:
            >>> Derivative("brain", "mask").name("sub-01_ses-2_run-1_T1w.nii")
            'sub-01_ses-2_run-1_space-orig_desc-brain_mask.nii.gz'
            >>> Derivative("brain").name("sub-01_FLAIR.nii.gz")
            'sub-01_desc-brain_FLAIR.nii.gz'
        """
        *entities, suffix = stem(scan).split("_")
        label = "".join(e.removeprefix("desc-") for e in entities if e.startswith("desc-"))
        label += self.label
        entities = [e for e in entities if not e.startswith("desc-")]
        if self.suffix is not None:
            label += "" if suffix == _PLAIN else suffix
            if not any(entity.startswith("space-") for entity in entities):
                entities = with_entities(entities, "space-orig")
        return "_".join([*entities, f"desc-{label}", self.suffix or suffix]) + ".nii.gz"

    def path(self, folder: str | os.PathLike, root: str | os.PathLike, scan: Path) -> Path:
        """Return the path of the file that is derived from a scan.

        Args:
            folder: folder of the derivatives.
            root: folder of the data set with the scan.
            scan: path of the scan, which begins with `root`.

        Returns:
            Path in `folder`, with the same subfolders as the scan has in `root`.

        Raises:
            ValueError: if the path would leave the folder.
        """
        for part in (*scan.relative_to(root).parts[:-1], self.name(scan)):
            folder = output_in(folder, part)
        return Path(folder)


def is_dataset(path: str | os.PathLike) -> bool:
    """Return whether a path is the folder of a BIDS data set.

    Args:
        path: any path.
    """
    return (Path(path) / _DESCRIPTION).is_file()


def find_scans(root: str | os.PathLike) -> list[Path]:
    """List the anatomical scans of a data set, sorted by subject and session.

    Args:
        root: folder of the data set. Only `sub-<label>/[ses-<label>/]anat` is searched, not
            `derivatives` or `sourcedata`. Masks, segmentations, phase images, and imaginary and
            real parts are left out.

    Returns:
        Paths that begin with `root`, at least one. Broken links, as DataLad makes them for files
        that are not downloaded, are listed too, so that reading them fails with a message.

    Warns:
        UserWarning: if volumes are left out because their names do not follow BIDS.

    Raises:
        ValueError: if there is no scan.
    """
    root = Path(root)
    scans, odd = [], []
    for subject in _folders(root, "sub"):
        for session in (subject, *_folders(subject, "ses")):
            entities = "_".join(session.relative_to(root).parts)
            for path in _volumes(session / "anat"):
                match = NAME.fullmatch(stem(path))
                if not match or not f"{match['entities']}_".startswith(f"{entities}_"):
                    odd.append(path)
                elif _SCAN_SUFFIX.fullmatch(match["suffix"]) and not _is_phase(match["entities"]):
                    scans.append(path)
    if odd:
        warnings.warn(
            f"{root}: left out {len(odd)} volumes whose names do not follow BIDS, such as "
            f"{odd[0].relative_to(root)}; names must be sub-<label>[_ses-<label>]_..._<suffix>",
            stacklevel=2,
        )
    if not scans:
        raise ValueError(
            f"{root} is a BIDS data set without anatomical scans; it must hold files such as "
            "sub-01/anat/sub-01_T1w.nii.gz or sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz"
        )
    return scans


def check_output_folder(folder: str | os.PathLike, root: str | os.PathLike) -> None:
    """Refuse an output that cannot become a data set of derivatives.

    Args:
        folder: folder for the derivatives; it need not exist.
        root: folder of the data set that they are derived from.

    Warns:
        UserWarning: if the folder lies in the data set without the tool's name in its own.

    Raises:
        ValueError: if the output is a file, the data set itself, or a data set of another tool.
    """
    folder, root = Path(folder), Path(root)
    if extension(folder) or folder.suffix.lower() == ".txt" or folder.is_file():
        raise ValueError(
            f"output {folder} is a file, but the input is the BIDS data set {root}; give a folder"
        )
    if folder.resolve() == root.resolve():
        raise ValueError(
            f"output {folder} is also the input; give another folder, such as "
            f"{root / 'derivatives' / _TOOL}"
        )
    if is_dataset(folder) and not _is_ours(_read(folder)):
        raise ValueError(f"output {folder} is a BIDS data set of another tool; give another folder")
    if root.resolve() in folder.resolve().parents and _TOOL not in folder.name:
        warnings.warn(
            f"{folder}: inside a data set, BIDS asks for {_TOOL} in the name of this folder",
            stacklevel=2,
        )


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
    source = _read(root)
    link = os.path.relpath(there, here) if there in here.parents else there.as_uri()
    origin = {"URL": there.as_uri()}
    if "DatasetDOI" in source:
        origin["DOI"] = source["DatasetDOI"]
    known = _read(folder) if is_dataset(folder) else {}
    facts = {
        "Name": f"Outputs of {_TOOL} for {source.get('Name') or there.name}",
        "BIDSVersion": _VERSION,
        "DatasetType": "derivative",
        **known,  # what the user added, or another tool
        "GeneratedBy": _with(known, "GeneratedBy", {"Name": _TOOL, "Version": version}, "Name"),
        "SourceDatasets": _with(known, "SourceDatasets", origin, "URL"),
        "DatasetLinks": {**(known.get("DatasetLinks") or {}), _SOURCE: link},
    }
    write_whole(folder / _DESCRIPTION, (json.dumps(facts, indent=2) + "\n").encode())
    unknown = [suffix for suffix in _UNKNOWN_TO_BIDS if suffix in {kind.suffix for kind in kinds}]
    ignored = folder / ".bidsignore"
    text = ignored.read_text(encoding="utf-8") if ignored.exists() else ""
    lines = [f"*_{suffix}.*" for suffix in unknown if f"*_{suffix}.*" not in text.splitlines()]
    if lines:
        kept = text and text.rstrip("\n") + "\n"
        write_whole(ignored, (kept + "\n".join(lines) + "\n").encode())


def write_look_up_table(folder: str | os.PathLike, names: Mapping[int, str]) -> None:
    """Write `dseg.tsv`, which names the labels in the segmentations of a data set.

    Other labels that it lists already stay.

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


def source_facts(root: str | os.PathLike, *scans: Path) -> dict[str, Any]:
    """Say in the terms of BIDS which scans a file is derived from, for its JSON file.

    Args:
        root: data set of the scans.
        scans: their paths.

    Returns:
        `Sources`, and `SpatialReference` where there is one scan, whose name says nothing about it.
    """
    facts: dict[str, Any] = {"Sources": [source_uri(root, scan) for scan in scans]}
    if len(scans) == 1 and "_space-" not in scans[0].name:
        facts["SpatialReference"] = "orig"
    return facts


def source_uri(root: str | os.PathLike, scan: Path) -> str:
    """Address of a scan, by its place in the data set where it lies in there.

    Args:
        root: data set.
        scan: path of the scan.
    """
    if scan.is_relative_to(root):
        return f"bids:{_SOURCE}:{scan.relative_to(root).as_posix()}"
    return scan.resolve().as_uri()


def with_entities(entities: list[str], *new: str) -> list[str]:
    """Put new entities, such as "space-orig", where they belong in a name.

    Args:
        entities: those of a name, in order.
        new: entities of the kinds `space`, `from`, `to` and `mode`.
    """
    keys = [entity.partition("-")[0] for entity in entities]
    place = next((i for i, key in enumerate(keys) if key in _AFTER_SPACE), len(keys))
    return [*entities[:place], *new, *entities[place:]]


def _folders(parent: Path, key: str) -> list[Path]:
    pattern = re.compile(f"{key}-{_LABEL}")
    return sorted(p for p in parent.iterdir() if pattern.fullmatch(p.name) and p.is_dir())


def _volumes(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    endings = (".nii", ".nii.gz")
    files = (p for p in folder.iterdir() if extension(p) in endings and p.name[0] != ".")
    return sorted(p for p in files if p.is_file() or p.is_symlink())


def _is_phase(entities: str) -> bool:
    return any(part in entities.split("_") for part in _PHASES)


def _with(facts: dict[str, Any], name: str, entry: dict[str, Any], key: str) -> list[Any]:
    """Put an entry into a list of a description, in the place of the one with its key."""
    entries = facts.get(name)
    entries = entries if isinstance(entries, list) else []
    return [e for e in entries if not isinstance(e, dict) or e.get(key) != entry[key]] + [entry]


def _read(folder: Path) -> dict[str, Any]:
    """Return the description of a data set; empty if it cannot be read."""
    try:
        facts = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8-sig"))
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _is_ours(facts: dict[str, Any]) -> bool:
    makers = facts.get("GeneratedBy")
    makers = makers if isinstance(makers, list) else []
    return any(isinstance(maker, dict) and maker.get("Name") == _TOOL for maker in makers)
