"""Where an output comes from: a JSON file beside it."""

import functools
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from synthtf.data.bids import source_facts
from synthtf.data.own_files import own_facts
from synthtf.data.shipped_models import file_digest
from synthtf.data.whole_files import write_whole
from synthtf.version import __version__

if TYPE_CHECKING:
    from synthtf.runs.run import Run

VOLUMES = "Volumes"
"""Fact of a JSON file: name of a structure to its volume in mm³."""


@dataclass(frozen=True)
class Provenance:
    """What the outputs of one command have in common.

    Attributes:
        runs: Role, such as "Model", to the training run whose network is used.
        command: The command line, or the function that was called.
        kinds: Kind of output to what its JSON file says about it, beyond where it comes from.
        root: BIDS data set of the scans, if they belong to one.
    """

    runs: Mapping[str, "Run"]
    command: str
    kinds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    root: Path | None = None

    def facts(
        self,
        kind: str,
        scans: Mapping[str, Path],
        seconds: float,
        messages: list[str],
        error: str | None = None,
    ) -> dict[str, Any]:
        """Say where an output comes from.

        Args:
            kind: Kind of the output.
            scans: Role, such as "Input", to the file of a scan.
            seconds: How long it took.
            messages: Warnings that were raised.
            error: Why the output is of no use, if it is not.

        Returns:
            What its JSON file holds, in the style of BIDS; `Error` only if there is one.

        Raises:
            OSError: If the scan or the network cannot be read.
        """
        facts = {
            **self.kinds.get(kind, {}),
            **({} if self.root is None else source_facts(self.root, *scans.values())),
            "SynthtfVersion": __version__,
        }
        for role, run in self.runs.items():
            folder = run.folder.resolve()
            facts |= {role: folder.name, f"{role}Folder": str(folder)}
            facts[_digest_of(role)] = self._digests[role]
        for role, scan in scans.items():
            facts |= {role: os.path.abspath(scan), _digest_of(role): file_digest(scan)}
        facts |= {
            "Command": self.command,
            "Date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Seconds": round(seconds, 3),
            "Warnings": messages,
        }
        return facts if error is None else {**facts, "Error": error}

    @functools.cached_property
    def _digests(self) -> dict[str, str]:
        return model_digests({role: run.folder for role, run in self.runs.items()})


def model_digests(folders: Mapping[str, Path]) -> dict[str, str]:
    """Return the SHA-256 of the networks in the folders of runs, in hexadecimal digits.

    Args:
        folders: Role, such as "Model", to the folder.

    Raises:
        OSError: If a network cannot be read.
    """
    from synthtf.runs.run import MODEL

    return {role: file_digest(folder / MODEL) for role, folder in folders.items()}


def write_sidecar(path: str | os.PathLike, facts: Mapping[str, Any]) -> None:
    """Write the JSON file of an output, in one piece.

    Args:
        path: The JSON file.
        facts: What to write.

    Raises:
        OSError: If it cannot be written.
    """
    write_whole(path, (json.dumps(facts, indent=2) + "\n").encode())


def succeeded(
    path: str | os.PathLike,
    digests: Mapping[str, str] | None = None,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Return whether a JSON file says that its output was made so, and without an error.

    Args:
        path: The JSON file; it need not exist.
        digests: Roles and SHA-256 of the networks that the output has to be made with; None: any.
        facts: What else it has to say.
    """
    said = own_facts(path)
    if "SynthtfVersion" not in said or "Error" in said:
        return False
    if any(said.get(name) != value for name, value in facts.items()):
        return False
    if digests is None:
        return True
    ending = _digest_of("Model")
    found = {name: value for name, value in said.items() if name.endswith(ending)}
    return found == {_digest_of(role): digest for role, digest in digests.items()}


def _digest_of(role: str) -> str:
    """Name of the fact that identifies the file of a role."""
    return f"{role}SHA256"


@contextmanager
def noted_warnings() -> Iterator[list[str]]:
    """Note the warnings to users that a block raises; they are shown as ever.

    Yields:
        Their messages, each a line.
    """
    noted: list[str] = []
    show = warnings.showwarning

    def note(message: Warning, category: type[Warning], *place: Any, **options: Any) -> None:
        if issubclass(category, UserWarning):
            noted.append(" ".join(str(message).split()))
        show(message, category, *place, **options)

    warnings.showwarning = note
    try:
        yield noted
    finally:
        warnings.showwarning = show
