"""Where the published weights are."""

import os
from collections.abc import Iterator
from pathlib import Path

SOURCES = "--model, $SYNTHTF_MODELS or $FREESURFER_HOME/models"
"""Where published weights are looked for, for messages."""


def find_weights(*names: str, model: str | os.PathLike | None = None) -> Path | None:
    """Find a file of published weights.

    Args:
        names: names that it may have, the preferred one first.
        model: the file, or a folder that holds it. None: the folder that the environment variable
            `SYNTHTF_MODELS` names, then `$FREESURFER_HOME/models`.

    Returns:
        The path; None if `model` is None and no folder has it.

    Raises:
        FileNotFoundError: if `model` does not exist, or is a folder without it.
    """
    if model is None:
        found = (folder / name for folder in _folders() for name in names)
        return next((path for path in found if path.is_file()), None)
    path = Path(model)
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist; give a file of weights, or its folder")
    for name in names:
        if (path / name).is_file():
            return path / name
    raise FileNotFoundError(f"{path} has none of the published weights {', '.join(names)}")


def needed_weights(*names: str, model: str | os.PathLike | None = None) -> Path:
    """Find a file of published weights for which there is nothing else.

    Args:
        names: names that it may have, the preferred one first.
        model: the file or its folder, as for `find_weights`.

    Returns:
        The path.

    Raises:
        FileNotFoundError: if no folder has it.
    """
    found = find_weights(*names, model=model)
    if found is None:
        raise FileNotFoundError(
            f"no published weights {names[0]} ({SOURCES}), and synthtf has no network of its own "
            "for this; say where they are"
        )
    return found


def _folders() -> Iterator[Path]:
    if os.environ.get("SYNTHTF_MODELS"):
        yield Path(os.environ["SYNTHTF_MODELS"])
    if os.environ.get("FREESURFER_HOME"):
        yield Path(os.environ["FREESURFER_HOME"]) / "models"
