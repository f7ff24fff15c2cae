"""Networks and recipes of the package: where they are, and whether networks are whole."""

import hashlib
import json
import os
from pathlib import Path

CHECKSUMS = "SHA256SUMS"
"""File of a model's folder with the digests of the others, as `sha256sum -c` reads it."""

DEFAULTS = {
    "segmentation": "heads-2mm",
    "stripping": "strip-3mm",
    "affine": "affine-2mm",
    "deformable": "deformable-2mm",
}
"""What a network is for, the task of a run or its kind, to the name of the one that is used."""

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
        purpose: One of `DEFAULTS`.

    Raises:
        FileNotFoundError: If no such model comes with the package.
    """
    name = DEFAULTS.get(purpose)
    if name not in shipped_models():
        raise FileNotFoundError(
            f"no model for {purpose} comes with the package; train one with `synthtf train`"
        )
    return shipped_models()[name]


def model_folder(model: str | os.PathLike | None, purpose: str, argument: str = "--model") -> Path:
    """Return the folder of a model that is given, or of the one that comes with the package.

    Args:
        model: A folder, a name, or None.
        purpose: What the model is for, one of `DEFAULTS`.
        argument: What it was given as, for the message.

    Raises:
        ValueError: If there is none.
    """
    if model is not None and Path(model).is_file():
        raise ValueError(f"{argument}: expected a folder, received a file: {model}")
    try:
        return default_model(purpose) if model is None else find_model(model)
    except FileNotFoundError as error:
        raise ValueError(f"{argument}: {error}") from None


def model_kind(folder: str | os.PathLike) -> str | None:
    """Return the kind of a registration that the run in a folder was trained for.

    Args:
        folder: Of a run; what is wrong with it is said when it is loaded.

    Returns:
        Such as "affine"; None where the run does not say.
    """
    try:
        facts = json.loads((Path(folder) / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts.get("kind") if isinstance(facts, dict) else None


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
