"""Networks and recipes that come with the package, and the checksums of networks."""

import difflib
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from synthtf.data.whole_files import write_whole

CHECKSUMS = "SHA256SUMS"
"""File in a model's folder with the checksums of the other files, for `sha256sum -c`."""

_DEFAULTS = "defaults.json"
_PACKAGE = Path(__file__).resolve().parents[1]
# Of an installed package, and of a checkout.
_FOLDERS = (_PACKAGE / "models", _PACKAGE.parent / "models")


def shipped_models() -> dict[str, Path]:
    """Return the folder of each model that comes with the package, by its name."""
    return {path.parent.name: path.parent for path in _files(CHECKSUMS)}


def shipped_recipes() -> dict[str, Path]:
    """Return the file of each recipe that comes with the package, by name, without models."""
    models = shipped_models()
    return {p.parent.name: p for p in _files("recipe.json") if p.parent.name not in models}


def recipe_file(recipe: str | os.PathLike) -> Path:
    """Return the file of a recipe: the name of one that comes with the package, or a path.

    Args:
        recipe: name or path.

    Raises:
        ValueError: if there is neither such a recipe nor such a file.
    """
    recipes = shipped_recipes()
    if recipe in recipes:
        return recipes[recipe]
    if not Path(recipe).is_file():
        near = nearest(str(recipe), recipes)
        raise ValueError(f"{recipe}: neither a file nor one of the recipes {tuple(recipes)}{near}")
    return Path(recipe)


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is most like another."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _files(name: str) -> list[Path]:
    return [p for folder in reversed(_FOLDERS) for p in sorted(folder.glob(f"*/{name}"))]


def default_models() -> dict[str, str]:
    """What a network is for, the task of a run or its kind, to the name of the one that is used."""
    for folder in reversed(_FOLDERS):
        if (folder / _DEFAULTS).is_file():
            return json.loads((folder / _DEFAULTS).read_text(encoding="utf-8"))
    return {}


def find_model(model: str | os.PathLike) -> Path:
    """Return the folder of a model.

    Args:
        model: a folder, or the name of a model that comes with the package.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: if there is neither.
    """
    folder, shipped = Path(model), shipped_models()
    if folder.is_dir():
        return folder
    if os.fspath(model) in shipped:
        return shipped[os.fspath(model)]
    raise FileNotFoundError(
        f"{model} is neither a folder nor a model of the package; "
        f"these are {', '.join(shipped) or 'none'}"
    )


def default_model(purpose: str) -> Path:
    """Return the folder of the default model for a purpose.

    Args:
        purpose: one of `default_models`.

    Returns:
        The folder.

    Raises:
        FileNotFoundError: if no such model comes with the package.
    """
    name = default_models().get(purpose)
    if name not in shipped_models():
        raise FileNotFoundError(
            f"no model for {purpose} comes with the package; train one with `synthtf train`"
        )
    return shipped_models()[name]


def model_folder(model: str | os.PathLike | None, purpose: str, argument: str = "--model") -> Path:
    """Return the folder of a model that is given, or of the one that comes with the package.

    Args:
        model: a folder, a name, or None.
        purpose: what the model is for, one of `DEFAULTS`.
        argument: what it was given as, for the message.

    Raises:
        ValueError: if there is none.
    """
    if model is not None and Path(model).is_file():
        raise ValueError(f"{argument} must be a folder. Received: the file {model}")
    try:
        return default_model(purpose) if model is None else find_model(model)
    except FileNotFoundError as error:
        raise ValueError(f"{argument}: {error}") from None


def model_kind(folder: str | os.PathLike) -> str | None:
    """Return the kind of a registration that the run in a folder was trained for.

    Args:
        folder: folder of a run; its faults are named when it is loaded.

    Returns:
        Such as "affine"; None where the run does not say.
    """
    try:
        facts = json.loads((Path(folder) / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts.get("kind") if isinstance(facts, dict) else None


def check_files(folder: str | os.PathLike) -> None:
    """Verify the files of a model by the checksums in its folder, if there are any.

    Args:
        folder: folder of the model.

    Raises:
        ValueError: if a file is missing or its checksum differs; the message names it.
    """
    sums = Path(folder) / CHECKSUMS
    if not sums.is_file():
        return
    for line in sums.read_bytes().decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition(" ")
        path = sums.parent / Path(name.strip().lstrip("*").replace("\0", "?")).name
        if not path.is_file() or file_digest(path) != digest:
            raise ValueError(
                f"{path}: checksum mismatch with {CHECKSUMS}, it is damaged or was changed; "
                f"copy or install it again, or delete {sums} if you changed it"
            )


def write_checksums(folder: str | os.PathLike, names: Sequence[str]) -> None:
    """Write the checksums of files of a model, in one piece.

    Args:
        folder: folder of the model.
        names: names of the files; those that are not there are left out.
    """
    paths = [Path(folder) / name for name in names]
    lines = [f"{file_digest(path)}  {path.name}\n" for path in paths if path.is_file()]
    write_whole(Path(folder) / CHECKSUMS, "".join(lines).encode())


def file_digest(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file in hexadecimal digits.

    Args:
        path: path of the file.

    Raises:
        OSError: if it cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
