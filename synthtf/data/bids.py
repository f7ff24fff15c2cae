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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthtf.data.paths import extension, output_in, sidecar_path, stem

DESCRIPTION = "dataset_description.json"
TOOL = "synthtf"
SOURCE = "raw"  # name of the source in BIDS URIs
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


@dataclass(frozen=True)
class Derivative:
    """A kind of file that is derived from scans.

    Attributes:
        label: label of the entity `desc`.
        suffix: suffix such as "dseg" or "mask". None for an image that keeps the suffix of its
            scan.
        hemisphere: "L" or "R" for a file of one hemisphere; None for one of both.
        ending: ending of the file.
    """

    label: str
    suffix: str | None = None
    hemisphere: str | None = None
    ending: str = ".nii.gz"

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
            >>> Derivative("synthtf", "pial", "L", ".surf.gii").name("sub-01_T1w.nii.gz")
            'sub-01_hemi-L_space-orig_desc-synthtf_pial.surf.gii'
        """
        *entities, suffix = stem(scan).split("_")
        label = "".join(e.removeprefix("desc-") for e in entities if e.startswith("desc-"))
        label += self.label
        entities = [e for e in entities if not e.startswith("desc-")]
        if self.suffix is not None:
            label += "" if suffix == _PLAIN else suffix
            if not any(entity.startswith("space-") for entity in entities):
                entities = with_entities(entities, "space-orig")
        if self.hemisphere is not None:
            place = [entity.partition("-")[0] for entity in entities].index("space")
            entities.insert(place, f"hemi-{self.hemisphere}")
        return "_".join([*entities, f"desc-{label}", self.suffix or suffix]) + self.ending

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


@dataclass(frozen=True)
class DatasetPart(os.PathLike):
    """Some participants and sessions of a data set; as a path, the folder of the data set.

    Attributes:
        root: folder of the data set.
        participants: their labels, with or without "sub-". Empty: all.
        sessions: labels of sessions, with or without "ses-". Empty: all, and what has no session.
    """

    root: str | os.PathLike
    participants: Sequence[str] = ()
    sessions: Sequence[str] = ()

    def __fspath__(self) -> str:
        """Folder of the data set."""
        return os.fspath(self.root)

    def folders(self) -> list[Path]:
        """List the folders of subjects and sessions, sorted.

        Raises:
            ValueError: if a label is not in the data set.
        """
        subjects = _chosen(self, [Path(self)], "sub", self.participants)
        sessions = _chosen(self, subjects, "ses", self.sessions)
        return sorted(sessions if self.sessions else [*subjects, *sessions])


def is_dataset(path: str | os.PathLike) -> bool:
    """Return whether a path is the folder of a BIDS data set.

    Args:
        path: any path.
    """
    return (Path(path) / DESCRIPTION).is_file()


def read_description(folder: str | os.PathLike) -> dict[str, Any]:
    """Return the description of a data set; empty if it cannot be read.

    Args:
        folder: folder of the data set.
    """
    try:
        facts = json.loads((Path(folder) / DESCRIPTION).read_text(encoding="utf-8-sig"))
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def find_scans(root: str | os.PathLike) -> list[Path]:
    """List the anatomical scans of a data set, sorted by subject and session.

    Args:
        root: folder of the data set, or a part of it. Only `sub-<label>/[ses-<label>/]anat` is
            searched, not `derivatives` or `sourcedata`. Masks, segmentations, phase images, and
            imaginary and real parts are left out.

    Returns:
        Paths that begin with `root`, at least one. Broken links, as DataLad makes them for files
        that are not downloaded, are listed too, so that reading them fails with a message.

    Warns:
        UserWarning: if volumes are left out because their names do not follow BIDS.

    Raises:
        ValueError: if there is no scan, or no such participant or session.
    """
    part, root = root if isinstance(root, DatasetPart) else DatasetPart(root), Path(root)
    scans, odd = [], []
    for session in part.folders():
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
            f"{root / 'derivatives' / TOOL}"
        )
    if is_dataset(folder) and not _is_ours(read_description(folder)):
        raise ValueError(f"output {folder} is a BIDS data set of another tool; give another folder")
    if root.resolve() in folder.resolve().parents and TOOL not in folder.name:
        warnings.warn(
            f"{folder}: inside a data set, BIDS asks for {TOOL} in the name of this folder",
            stacklevel=2,
        )


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


def image_facts(output: Path, scan: Path) -> dict[str, bool]:
    """Say what BIDS asks of an image that is made of a scan: whether it has a skull.

    Args:
        output: any file that is derived from the scan; only images have such facts.
        scan: the scan; if no JSON file beside it says more, it has a skull.
    """
    if not _SCAN_SUFFIX.fullmatch(stem(output).split(".")[0].rpartition("_")[2]):
        return {}
    try:
        facts = json.loads(sidecar_path(scan).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        facts = {}
    return {"SkullStripped": isinstance(facts, dict) and facts.get("SkullStripped") is True}


def source_uri(root: str | os.PathLike, scan: Path) -> str:
    """Address of a scan, by its place in the data set where it lies in there.

    Args:
        root: data set.
        scan: path of the scan.
    """
    if scan.is_relative_to(root):
        return f"bids:{SOURCE}:{scan.relative_to(root).as_posix()}"
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


def _chosen(
    root: os.PathLike, parents: Sequence[Path], key: str, labels: Sequence[str]
) -> list[Path]:
    """Folders of a kind in others, those with the labels if there are any."""
    found = [folder for parent in parents for folder in _folders(parent, key)]
    wanted = {f"{key}-{label.removeprefix(f'{key}-')}" for label in labels}
    unknown = sorted(wanted - {folder.name for folder in found})
    if unknown:
        kind = {"sub": "participant", "ses": "session"}[key]
        names = sorted({folder.name for folder in found})
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise ValueError(
            f"--{kind}-label must name a {kind} of {Path(root)}, which has {shown or 'none'}. "
            f"Received: {', '.join(name.removeprefix(f'{key}-') for name in unknown)}"
        )
    return [folder for folder in found if folder.name in wanted] if labels else found


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


def _is_ours(facts: dict[str, Any]) -> bool:
    makers = facts.get("GeneratedBy")
    makers = makers if isinstance(makers, list) else []
    return any(isinstance(maker, dict) and maker.get("Name") == TOOL for maker in makers)
