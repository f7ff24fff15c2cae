"""Which files SynthSeg and SynthSR read and write, by the names that their commands give them."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from synthtf.data.paths import refuse_clashes
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume
from synthtf.data.whole_files import written_aside

ENDINGS = (".nii.gz", ".nii", ".mgz", ".mgh", ".npz")
"""What a scan and an output may end in."""

SUFFIXES = {"segmentation": "synthseg", "posteriors": "posteriors", "resampled": "resampled"}
"""Kind of output to what is added to the name of a scan in a folder."""

TABLES = ("volumes", "quality")
"""Kinds of tables."""

_FLAGS = {
    "image": "--o",
    "segmentation": "--o",
    "posteriors": "--post",
    "resampled": "--resample",
    "volumes": "--vol",
    "quality": "--qc",
}


@dataclass(frozen=True)
class Files:
    """What is read and written.

    Attributes:
        scans: the scans.
        outputs: kind of output to its files, one per scan.
        tables: kind of table to its files; one for all scans if `shared`, else one per scan.
        shared: whether a table has a row for each scan.
    """

    scans: list[Path]
    outputs: dict[str, list[Path]]
    tables: dict[str, list[Path]] = field(default_factory=dict)
    shared: bool = True

    @classmethod
    def plan(
        cls,
        source: str | os.PathLike,
        targets: Mapping[str, str | os.PathLike | None],
        suffixes: Mapping[str, str] = SUFFIXES,
    ) -> "Files":
        """Name all files, before anything is loaded.

        Args:
            source: an image, a folder, or a .txt list with one path a line.
            targets: kind of output to what the user gave for it, if anything: a file or a folder
                for an image, a folder for a folder, a .txt list for a list; a .csv file for a
                table, or a .txt list for a list.
            suffixes: kind of output to what is added to the name of a scan in a folder.

        Raises:
            FileNotFoundError: if the source or a list does not exist.
            ValueError: if an output does not fit the source, or two files would have one name.
        """
        given = {kind: Path(target) for kind, target in targets.items() if target is not None}
        path = Path(source)
        if path.suffix == ".txt":
            found = cls._of_list(path, given, suffixes)
        elif _is_image(path):
            if not path.is_file():
                raise FileNotFoundError(f"{path} does not exist; are path and ending right?")
            found = cls._of_one(path, given, suffixes)
        elif path.is_file():
            raise ValueError(f"{path}: unknown ending; it must be one of {', '.join(ENDINGS)}")
        else:
            found = cls._of_folder(path, given, suffixes)
        for files in (*found.outputs.values(), *(() if found.shared else found.tables.values())):
            refuse_clashes(found.scans, files)
        _refuse_double_names(found)
        return found

    @classmethod
    def _of_list(cls, path: Path, given: dict[str, Path], suffixes: Mapping[str, str]) -> "Files":
        scans, lists = _read_list(path), {}
        for kind, target in given.items():
            if target.suffix != ".txt":
                raise ValueError(
                    f"{_FLAGS[kind]} must be a .txt list since --i is one. Received: {target}"
                )
            lists[kind] = _read_list(target)
            if len(lists[kind]) != len(scans):
                raise ValueError(
                    f"{target} must list {len(scans)} files, as many as {path}. "
                    f"Received: {len(lists[kind])}"
                )
        outputs = {kind: lists[kind] for kind in suffixes if kind in lists}
        for file in (file for files in outputs.values() for file in files):
            if not _is_image(file):
                raise ValueError(f"{file}: unknown ending; it must be one of {', '.join(ENDINGS)}")
        return cls(scans, outputs, {k: lists[k] for k in TABLES if k in lists}, shared=False)

    @classmethod
    def _of_folder(
        cls, folder: Path, given: dict[str, Path], suffixes: Mapping[str, str]
    ) -> "Files":
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} does not exist; give an image or a folder")
        scans = sorted(p for p in folder.iterdir() if _is_image(p) and p.name[0] != ".")
        if not scans:
            raise ValueError(f"{folder} has no images; they end in one of {', '.join(ENDINGS)}")

        def in_folder(kind: str, target: Path) -> list[Path]:
            if _is_image(target):
                raise ValueError(
                    f"{_FLAGS[kind]} must be a folder since --i is one. Received: {target}"
                )
            return [target / with_suffix(scan.name, suffixes[kind]) for scan in scans]

        return cls._with(scans, given, in_folder, suffixes)

    @classmethod
    def _of_one(cls, scan: Path, given: dict[str, Path], suffixes: Mapping[str, str]) -> "Files":
        def beside(kind: str, target: Path) -> list[Path]:
            name = with_suffix(scan.name, suffixes[kind])
            return [target if _is_image(target) else target / name]

        return cls._with([scan], given, beside, suffixes)

    @classmethod
    def _with(
        cls,
        scans: list[Path],
        given: dict[str, Path],
        place: Callable[[str, Path], list[Path]],
        suffixes: Mapping[str, str],
    ) -> "Files":
        for kind, target in given.items():
            if target.suffix == ".txt":
                raise ValueError(
                    f"{_FLAGS[kind]} can only be a .txt list if --i is one. Received: {target}"
                )
        outputs = {kind: place(kind, given[kind]) for kind in suffixes if kind in given}
        tables = {kind: [_csv(given[kind])] for kind in TABLES if kind in given}
        return cls(scans, outputs, tables)


def write_image(
    path: Path, data: np.ndarray, like: Volume, affine: np.ndarray, dtype: str | np.dtype
) -> None:
    """Write an image; an .npz file gets the voxels alone, as the array `vol_data`.

    Args:
        path: file to write.
        data: voxels.
        like: volume whose header is kept.
        affine: `(4, 4)` of the voxels.
        dtype: type of the numbers in the file.

    Raises:
        OSError: if the file cannot be written.
    """
    if path.suffix != ".npz":
        write_volume(path, data, like=like, affine=affine, dtype=dtype)
        return
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, vol_data=data.astype(dtype))


def with_suffix(name: str, suffix: str) -> str:
    """Add a suffix to the name of an image.

    Example:
        >>> with_suffix("a.b.nii.gz", "synthseg")
        'a.b_synthseg.nii.gz'
    """
    ending = next(e for e in ENDINGS if name.endswith(e))
    return f"{name.removesuffix(ending)}_{suffix}{ending}"


def _is_image(path: Path) -> bool:
    return path.name.endswith(ENDINGS)


def _csv(path: Path) -> Path:
    return path if path.suffix == ".csv" else path.with_name(f"{path.name}.csv")


def _read_list(path: Path) -> list[Path]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give a list with one path per line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be a text file in UTF-8, one path per line") from error
    files = [Path(line.strip()) for line in lines if line.strip()]
    if not files:
        raise ValueError(f"{path} is an empty list; write one path per line")
    return files


def _refuse_double_names(files: Files) -> None:
    every: Sequence[Path] = [p for kind in files.outputs.values() for p in kind]
    tables = [p for kind in files.tables.values() for p in kind]
    seen: set[str] = set()
    for path in (*every, *tables):
        real = os.path.realpath(path)
        if real in seen:
            raise ValueError(f"two outputs would be written to {path}; give other names")
        seen.add(real)
