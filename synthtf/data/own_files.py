"""What a user's file is, and what synthtf wrote: files that nobody named are never replaced."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_VERSIONS = ("SynthtfVersion", "synthtf")  # one of them is in each JSON file of synthtf
_SCANS = ("Input", "Moving")


def own_facts(path: str | os.PathLike) -> dict[str, Any]:
    """Read a JSON file of synthtf.

    Args:
        path: the file; it need not exist.

    Returns:
        What it holds; empty if it is another file, or cannot be read.
    """
    try:
        facts = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    own = isinstance(facts, dict) and any(isinstance(facts.get(name), str) for name in _VERSIONS)
    return facts if own else {}


def source_of(path: str | os.PathLike) -> Path | None:
    """Return the scan that an output was made from, as its JSON file says.

    Args:
        path: the JSON file; it need not exist.
    """
    facts = own_facts(path)
    found = next((facts[role] for role in _SCANS if f"{role}SHA256" in facts), None)
    return Path(found) if isinstance(found, str) else None


def refuse_foreign_json(path: Path, output: Path) -> None:
    """Refuse to replace a JSON file that synthtf did not write.

    Args:
        path: the JSON file; it need not exist.
        output: what it is about.

    Raises:
        ValueError: if it is another file.
    """
    if os.path.lexists(path) and not own_facts(path):
        raise ValueError(
            f"{path} exists, is not of synthtf, and would be replaced by the JSON file of "
            f"{output.name}; move it, give another name, or --no-sidecar"
        )


def refuse_foreign_folder(folder: str | os.PathLike, facts: str, names: Sequence[str]) -> None:
    """Refuse to replace files in a folder that synthtf did not write.

    Args:
        folder: the folder; it need not exist.
        facts: name of the JSON file by which a folder of synthtf is known.
        names: names of the other files that will be written.

    Raises:
        ValueError: if one exists and the folder is none of synthtf.
    """
    folder = Path(folder)
    if own_facts(folder / facts):
        return
    for name in (facts, *names):
        if os.path.lexists(folder / name):
            raise ValueError(
                f"{folder / name} exists, is not of synthtf, and would be replaced; choose "
                "another folder, or move it"
            )
