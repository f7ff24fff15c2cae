"""Input and output files of a command: one file, a folder, or a .txt list of files."""

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from synthtf.data.contents import PICTURES, first_known, is_picture, known_file, no_file
from synthtf.data.own_files import source_of
from synthtf.data.text_files import read_text, split_lines
from synthtf.data.writable import check_folder, check_writable

EXTENSIONS = (".nii.gz", ".nii", ".mgz", ".mgh")
"""Endings of volume files."""

INPUTS = (*EXTENSIONS, *PICTURES)
"""Endings of what is read."""

_ENDINGS = ", ".join(INPUTS)

_FILE_ENDINGS = (".keras", ".h5", ".txt", ".csv", ".tsv", ".json", ".png", ".html", ".gii")


def extension(path: str | os.PathLike) -> str:
    """Return the volume ending of a path in lower case, or "" if it has none.

    Args:
        path: a path or a file name.

    Returns:
        One of `EXTENSIONS`, or "".

    Example:
        >>> extension("sub 01/T1.NII.GZ")
        '.nii.gz'
    """
    name = os.fspath(path).lower()
    return next((ending for ending in EXTENSIONS if name.endswith(ending)), "")


def is_input(path: str | os.PathLike) -> bool:
    """Return whether a path ends in one of `INPUTS`."""
    return bool(extension(path)) or is_picture(path)


def stem(path: str | os.PathLike) -> str:
    """Return the file name without its folder and without its volume ending.

    Args:
        path: a path or a file name.

    Returns:
        The bare name; a name without a volume ending is returned whole.

    Example:
        >>> stem("scans/a.b_T1.nii.gz")
        'a.b_T1'
    """
    name = Path(path).name
    return name[: len(name) - len(extension(name))]


def sidecar_path(output: str | os.PathLike) -> Path:
    """Return the JSON file of an output.

    Args:
        output: a volume, or another file, whose ending stays in the name.

    Example:
        >>> sidecar_path("out/x_seg.nii.gz").as_posix(), sidecar_path("x.lta").as_posix()
        ('out/x_seg.json', 'x.lta.json')
    """
    return Path(output).with_name(f"{stem(output)}.json")


def expand_inputs(path: str | os.PathLike, *, derived: bool = True) -> list[Path]:
    """Turn the user's input into a list of files.

    Args:
        path: a volume file or a picture, a folder (its volumes, sorted by name, without hidden
            files and pictures), or a .txt list with one path per line (blank lines and lines that
            start with # are skipped, relative paths start in the folder of the list).
        derived: whether volumes of a folder count that synthtf made of others in it, as their
            JSON files say.

    Returns:
        Paths, at least one. It is not checked whether the files of a list exist, or whether
        links in a folder lead to files: one missing file does not stop the others, and is named
        when it is read.

    Raises:
        FileNotFoundError: if the path does not exist.
        ValueError: if the folder or the list holds no volume, or the ending is unknown.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{no_file(path)}; give a volume, a folder or a .txt list")
    if path.is_dir():
        return _volumes_in(path, derived)
    if path.suffix.lower() == ".txt":
        return _read_list(path)
    if not is_input(path):
        raise ValueError(
            f"{path}: unknown ending; it must be one of {_ENDINGS}, a folder, or a .txt list"
            f"{known_file(path)}"
        )
    return [path]


def expand_scans(path: str | os.PathLike) -> list[Path]:
    """Turn the user's input into a list of scans, without what synthtf made of them.

    Args:
        path: as for `expand_inputs`.

    Returns:
        Paths, at least one.

    Warns:
        UserWarning: if volumes of the folder are left out.

    Raises:
        FileNotFoundError: if the path does not exist.
        ValueError: if there is no scan, as for `expand_inputs`.
    """
    files = expand_inputs(path, derived=False)
    others = [file for file in expand_inputs(path) if file not in set(files)]
    if others:
        warnings.warn(
            f"{path}: left out {len(others)} outputs of synthtf, such as {others[0].name}; name "
            "them in a .txt list if they are meant",
            stacklevel=2,
        )
    return files


def pair_outputs(inputs: str | os.PathLike, output: str | os.PathLike, suffix: str) -> list[Path]:
    """Name one output file for each input, before anything is loaded.

    A file goes to a file, a folder to a folder, a .txt list to a .txt list of the same length or
    to a folder. In a folder, the output of `a.nii.gz` with suffix "_seg" is `a_seg.nii.gz`.
    Existing outputs are overwritten, except those that are also inputs.

    Args:
        inputs: the user's argument: a volume file, a folder or a .txt list.
        output: the user's argument: a volume file, a folder (made later) or a .txt list.
        suffix: added to the names of the inputs where the output is a folder.

    Returns:
        Output paths in the order of the inputs, all different.

    Raises:
        FileNotFoundError: if the input or the list of outputs does not exist.
        ValueError: if kinds or lengths do not match, two inputs share an output, or an output is an
            input.
    """
    files, output = expand_inputs(inputs, derived=False), Path(output)
    kind, target = path_kind(inputs), path_kind(output)
    allowed = ("list", "folder") if kind == "list" else (kind,)
    if target not in allowed:
        raise ValueError(
            f"output {output} is a {target}, but the input is the {kind} {inputs}; "
            f"give a {' or a '.join(allowed)}"
        )
    if target == "folder":
        bare = [p.stem if is_picture(p) else stem(p) for p in files]
        endings = [extension(p) or EXTENSIONS[0] for p in files]
        paths = [output_in(output, b + suffix + e) for b, e in zip(bare, endings, strict=True)]
    else:
        paths = _read_list(output) if target == "list" else [output]
    if len(paths) != len(files):
        raise ValueError(f"{output} must list {len(files)} outputs. Received: {len(paths)}")
    for path in paths:
        check_ending(path)
    refuse_clashes(files, paths)
    return paths


def output_in(folder: str | os.PathLike, name: str) -> Path:
    """Return the path of an output in a folder, and refuse a name that leads outside.

    Args:
        folder: the output folder; it need not exist.
        name: file name, possibly made from a subject's name.

    Returns:
        `folder / name`.

    Raises:
        ValueError: if the name would leave the folder (a separator, "..", an absolute path).

    Example:
        >>> output_in("results", "../../etc/passwd")
        Traceback (most recent call last):
        ...
        ValueError: output name '../../etc/passwd' leaves the folder results; use a plain file name
    """
    separators = {"/", "\\", "\0"}
    if name in {"", ".", ".."} or separators & set(name):
        raise ValueError(
            f"output name {name!r} leaves the folder {Path(folder)}; use a plain file name"
        )
    return Path(folder) / name


def check_ending(path: str | os.PathLike, endings: Sequence[str] = EXTENSIONS) -> None:
    """Refuse an output whose name does not say what it is.

    Args:
        path: the output.
        endings: what it may end in.

    Raises:
        ValueError: if it ends in something else.
    """
    if not os.fspath(path).lower().endswith(tuple(endings)):
        raise ValueError(f"output {path}: unknown ending; it must be one of {', '.join(endings)}")


def refuse_clashes(
    inputs: Sequence[Path], outputs: Sequence[Path], others: Sequence[Path] = ()
) -> None:
    """Refuse outputs of one name, and outputs that are inputs.

    Args:
        inputs: for each output, the input that it is made from.
        outputs: output paths.
        others: more files that are read.

    Raises:
        ValueError: if there is such an output, or one that could not be written; the message
            names it.
    """
    sources = {_identity(p) for p in (*inputs, *others)}
    seen: dict[str, Path] = {}
    for source, path in zip(inputs, outputs, strict=True):
        identity = _identity(path)
        if identity in sources:
            raise ValueError(f"output {path} is also an input; choose another name or folder")
        check_writable(path)
        if identity in seen:
            raise ValueError(
                f"{seen[identity]} and {source} would both be written to {path}; "
                "give a .txt list of outputs"
            )
        seen[identity] = source


def writable_file(path: str | os.PathLike | None, argument: str) -> Path | None:
    """Return a file, no volume, that could be written; None if none is asked for.

    Args:
        path: the file, or None.
        argument: what it was given as, for the message.

    Raises:
        ValueError: if it is a folder or named like a volume, or its folder is missing.
    """
    if path is None:
        return None
    file = Path(path)
    if file.is_dir():
        raise ValueError(f"{argument} must be a file. Received: the folder {path}")
    if not file.parent.is_dir():
        raise ValueError(f"{argument}: no such folder: {file.parent}")
    if extension(file):  # most likely a scan, which must not be lost
        raise ValueError(f"{argument} must not have the ending of a volume. Received: {path}")
    check_writable(file, argument)
    return file


def output_folder(path: str | os.PathLike, argument: str) -> Path:
    """Return a folder to write to; it may be made later.

    Args:
        path: the folder.
        argument: what it was given as, for the message.

    Raises:
        ValueError: if it is a file, lies in one, could not be made or written to, or does not exist
            and has the ending of a file.
    """
    folder = Path(path)
    if not folder.exists() and folder.name.lower().endswith((*EXTENSIONS, *_FILE_ENDINGS)):
        raise ValueError(f"{argument} must be a folder. Received: the name of a file, {path}")
    check_folder(folder, f"{argument} {path}")
    return folder


def listed_path(name: str, source: str | os.PathLike, line: int) -> Path:
    """Return a file that a list or a table names; a relative path starts in its folder.

    Args:
        name: the path as it is written.
        source: the list or the table.
        line: number of the line, for the message.

    Raises:
        ValueError: if the file is there only from the current folder.
    """
    path = Path(source).parent / name
    if not path.exists() and Path(name).exists():
        raise ValueError(
            f"{source}, line {line}: {name} is there from the current folder, but relative paths "
            "start in the folder of the list; move the list here, or write whole paths"
        )
    return path


def existing_volume(path: str | os.PathLike, argument: str) -> Path:
    """Return the path of a volume file that exists.

    Args:
        path: the file.
        argument: what it was given as, for the message.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if its name does not end as that of a volume.
    """
    file = existing_file(path, argument)
    if not is_input(file):
        raise ValueError(
            f"{argument}: {path}: unknown ending; it must be one of {_ENDINGS}{known_file(path)}"
        )
    return file


def existing_file(path: str | os.PathLike, argument: str) -> Path:
    """Return the path of a file that exists.

    Args:
        path: the file.
        argument: what it was given as, for the message.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{argument}: {no_file(path)}")
    return Path(path)


def path_kind(path: str | os.PathLike) -> str:
    """Return "file", "folder" or "list"; what does not exist and has no ending is a folder.

    Args:
        path: what the user gave.
    """
    path = Path(path)
    if path.is_dir():
        return "folder"
    if path.suffix.lower() == ".txt":
        return "list"
    # An existing file with another ending counts as a file, never as a folder.
    return "file" if is_input(path) or path.is_file() else "folder"


def _volumes_in(folder: Path, derived: bool) -> list[Path]:
    # Links to nothing and folders with such a name are files that somebody misses.
    files = sorted(p for p in folder.iterdir() if extension(p) and p.name[0] != ".")
    if not derived:
        names = {p.name for p in files}
        sources = {p: source_of(sidecar_path(p)) for p in files}
        files = [p for p, of in sources.items() if of is None or of.name not in names - {p.name}]
    if not files:
        raise ValueError(
            f"{folder} holds no volume; the ending must be one of {', '.join(EXTENSIONS)}"
            f"{first_known(folder)}"
        )
    return files


def _read_list(path: Path) -> list[Path]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give a list with one path per line")
    files = []
    for number, line in enumerate(split_lines(read_text(path, paths=True)), 1):
        name = line.strip()
        if name and not name.startswith("#"):
            if len(name) > 1 and name[0] == name[-1] == '"':
                name = name[1:-1]
            if not is_input(name):  # a remark may follow the path
                name = re.sub(r"\s+#.*", "", name)
            if not is_input(name):
                raise ValueError(
                    f"{path}, line {number}: {name}: unknown ending; it must be one of {_ENDINGS}"
                )
            files.append(listed_path(name, path, number))
    if not files:
        raise ValueError(f"{path} is an empty list; write one path per line")
    return files


def _identity(path: Path) -> str:
    return os.path.realpath(path)
