"""Input and output files of a command: one file, a folder, or a .txt list of files."""

import os
from collections.abc import Sequence
from pathlib import Path

EXTENSIONS = (".nii.gz", ".nii", ".mgz", ".mgh")
"""Endings of volume files."""


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


def expand_inputs(path: str | os.PathLike) -> list[Path]:
    """Turn the user's input into a list of files.

    Args:
        path: a volume file, a folder (its volumes, sorted by name, without hidden files), or a
            .txt list with one path per line (blank lines and lines that start with # are
            skipped, relative paths start in the current folder).

    Returns:
        Paths, at least one. It is not checked whether the files of a list exist, so that one
        missing file does not stop the others.

    Raises:
        FileNotFoundError: if the path does not exist.
        ValueError: if the folder or the list holds no volume, or the ending is unknown.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; give a volume, a folder or a .txt list")
    if path.is_dir():
        return _volumes_in(path)
    if path.suffix.lower() == ".txt":
        return _read_list(path)
    if not extension(path):
        raise ValueError(
            f"{path}: unknown ending; it must be one of {_endings()}, a folder, or a .txt list"
        )
    return [path]


def pair_outputs(
    inputs: str | os.PathLike | Sequence[str | os.PathLike],
    output: str | os.PathLike,
    suffix: str,
    force: bool = False,
) -> list[Path]:
    """Name one output file for each input, before anything is loaded.

    A file goes to a file, a folder to a folder, a .txt list to a .txt list of the same length or
    to a folder. In a folder, the output of `a.nii.gz` with suffix "_seg" is `a_seg.nii.gz`.
    Existing outputs are overwritten, except those that are also inputs.

    Args:
        inputs: the user's argument (file, folder or .txt list), or the expanded list of files.
        output: the user's argument: a volume file, a folder (made later) or a .txt list.
        suffix: suffix added to the names of the inputs if the output is a folder.
        force: accept an output that is one of the inputs. Default False.

    Returns:
        Output paths in the order of the inputs, all different.

    Raises:
        FileNotFoundError: if the input or the list of outputs does not exist.
        ValueError: if kinds or lengths do not match, if two inputs share an output, or if an
            output is an input and `force` is False.
    """
    kind = _kind(inputs)
    files = [Path(p) for p in inputs] if kind == "sequence" else expand_inputs(inputs)
    output = Path(output)
    target = _kind(output)
    allowed = {
        "file": ("file",),
        "folder": ("folder",),
        "list": ("list", "folder"),
        "sequence": ("file", "list", "folder") if len(files) == 1 else ("list", "folder"),
    }
    if target not in allowed[kind]:
        given = f"{len(files)} files" if kind == "sequence" else f"the {kind} {inputs}"
        raise ValueError(
            f"output {output} is a {target}, but the input is {given}; "
            f"give a {' or a '.join(allowed[kind])}"
        )
    if target == "folder":
        paths = [output_in(output, f"{stem(p)}{suffix}{extension(p)}") for p in files]
    else:
        paths = _read_list(output) if target == "list" else [output]
    if len(paths) != len(files):
        raise ValueError(f"{output} lists {len(paths)} outputs for {len(files)} inputs")
    refuse_clashes(files, paths, force)
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


def refuse_clashes(inputs: Sequence[Path], outputs: Sequence[Path], force: bool = False) -> None:
    """Refuse outputs of the same name, that are inputs, or without a volume ending.

    Args:
        inputs: for each output, the input that it is made from.
        outputs: output paths.
        force: accept an output that is one of the inputs. Default False.

    Raises:
        ValueError: if there is such an output; the message names it.
    """
    sources = {_identity(p): p for p in inputs}
    seen: dict[str, Path] = {}
    for source, path in zip(inputs, outputs, strict=True):
        if not extension(path):
            raise ValueError(f"output {path}: unknown ending; it must be one of {_endings()}")
        identity = _identity(path)
        if identity in sources and not force:
            raise ValueError(f"output {path} is also an input; choose another name or folder")
        if identity in seen:
            raise ValueError(
                f"{seen[identity]} and {source} would both be written to {path}; "
                "give a .txt list of outputs"
            )
        seen[identity] = source


def _kind(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        return "sequence"
    path = Path(path)
    if path.is_dir():
        return "folder"
    if path.suffix.lower() == ".txt":
        return "list"
    # An existing file with another ending counts as a file, never as a folder.
    return "file" if extension(path) or path.is_file() else "folder"


def _endings() -> str:
    return ", ".join(EXTENSIONS)


def _volumes_in(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.iterdir() if extension(p) and p.is_file() and p.name[0] != ".")
    if not files:
        raise ValueError(f"{folder} holds no volume; the ending must be one of {_endings()}")
    return files


def _read_list(path: Path) -> list[Path]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give a list with one path per line")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be a text file in UTF-8, one path per line") from error
    lines = [line.strip() for line in text.splitlines()]
    files = [Path(line) for line in lines if line and not line.startswith("#")]
    if not files:
        raise ValueError(f"{path} is an empty list; write one path per line")
    for file in files:
        if not extension(file):
            raise ValueError(f"{path} lists {file}: unknown ending; it must be one of {_endings()}")
    return files


def _identity(path: Path) -> str:
    return os.path.realpath(path)
