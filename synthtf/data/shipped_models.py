"""Networks and recipes of the package: where they are, and whether networks are whole."""

import hashlib
import json
import os
from pathlib import Path

CHECKSUMS = "SHA256SUMS"
"""File of a model's folder with the digests of the others, as `sha256sum -c` reads it."""

_DEFAULTS = "defaults.json"
_PACKAGE = Path(__file__).resolve().parents[1]
# In an installed package, and in a checkout.
_FOLDERS = (_PACKAGE / "models", _PACKAGE.parent / "models")


def shipped_models() -> dict[str, Path]:
    """Name to folder of each model that comes with the package."""
    return {path.parent.name: path.parent for path in _files(CHECKSUMS)}


def shipped_recipes() -> dict[str, Path]:
    """Name to file of each recipe that comes with the package, those of models aside."""
    models = shipped_models()
    return {p.parent.name: p for p in _files("recipe.json") if p.parent.name not in models}


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
        model: A folder, or the name of a model that comes with the package.

    Raises:
        FileNotFoundError: If there is neither.
    """
    folder, shipped = Path(model), shipped_models()
    if folder.is_dir():
        return folder
    if os.fspath(model) in shipped:
        return shipped[os.fspath(model)]
    raise FileNotFoundError(
        f"no such folder: {model}, nor such a model of the package; "
        f"there are {', '.join(shipped) or 'none'}"
    )


def default_model(purpose: str) -> Path:
    """Return the folder of the model that is used where none is given.

    Args:
        purpose: One of `default_models`.

    Raises:
        FileNotFoundError: If no such model comes with the package.
    """
    name = default_models().get(purpose)
    if name not in shipped_models():
        raise FileNotFoundError(
            f"no model for {purpose} comes with the package; train one with `synthtf train`"
        )
    return shipped_models()[name]


def check_files(folder: str | os.PathLike) -> None:
    """Compare the files of a folder with the digests in it, if it has any.

    Args:
        folder: Of a model.

    Raises:
        ValueError: If a file is missing or another; the message names it.
    """
    sums = Path(folder) / CHECKSUMS
    if not sums.is_file():
        return
    for line in sums.read_text().splitlines():
        digest, name = line.split(maxsplit=1)
        path = sums.parent / Path(name.lstrip("*")).name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise ValueError(
                f"{path}: not the file of which {CHECKSUMS} tells, it is damaged or was changed; "
                f"install the package again, or delete {sums} if the change was yours"
            )
