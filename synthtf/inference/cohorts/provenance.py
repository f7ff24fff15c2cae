"""Where an output comes from: a JSON file beside it."""

import functools
import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthtf.data.bids import source_facts
from synthtf.data.paths import stem
from synthtf.data.whole_files import write_whole
from synthtf.version import __version__

if TYPE_CHECKING:
    from synthtf.tasks.run import Run


@dataclass(frozen=True)
class Provenance:
    """What the outputs of one command have in common.

    Attributes:
        run: The training run whose network is used.
        command: The command line.
        kinds: Kind of output to what its JSON file says about it, beyond where it comes from.
        root: BIDS data set of the scans, if they belong to one.
    """

    run: "Run"
    command: str
    kinds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    root: Path | None = None

    def facts(
        self, kind: str, scan: Path, seconds: float, messages: list[str], error: str | None = None
    ) -> dict[str, Any]:
        """Say where an output comes from.

        Args:
            kind: Kind of the output.
            scan: File of the scan.
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
            **({} if self.root is None else source_facts(self.root, scan)),
            "SynthtfVersion": __version__,
            "Model": self.run.folder.resolve().name,
            "ModelFolder": str(self.run.folder.resolve()),
            "ModelSHA256": self._model_digest,
            "Input": os.path.abspath(scan),
            "InputSHA256": file_digest(scan),
            "Command": self.command,
            "Date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Seconds": round(seconds, 3),
            "Warnings": messages,
        }
        return facts if error is None else {**facts, "Error": error}

    @functools.cached_property
    def _model_digest(self) -> str:
        return model_digest(self.run.folder)


def model_digest(folder: Path) -> str:
    """Return the SHA-256 of the network in the folder of a run, in hexadecimal digits.

    Args:
        folder: Of the run.

    Raises:
        OSError: If the network cannot be read.
    """
    from synthtf.tasks.run import MODEL

    return file_digest(folder / MODEL)


def file_digest(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file in hexadecimal digits.

    Args:
        path: The file.

    Raises:
        OSError: If it cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sidecar_path(output: str | os.PathLike) -> Path:
    """Return the JSON file of a volume.

    Args:
        output: The volume.

    Example:
        >>> sidecar_path("out/x_seg.nii.gz").as_posix()
        'out/x_seg.json'
    """
    return Path(output).with_name(f"{stem(output)}.json")


def write_sidecar(output: str | os.PathLike, facts: Mapping[str, Any]) -> None:
    """Write the JSON file of a volume, in one piece.

    Args:
        output: The volume.
        facts: What to write.

    Raises:
        OSError: If it cannot be written.
    """
    write_whole(sidecar_path(output), (json.dumps(facts, indent=2) + "\n").encode())


def succeeded(output: str | os.PathLike, digest: str | None = None) -> bool:
    """Return whether the JSON file of a volume says that it was made, and without an error.

    Args:
        output: The volume; neither file need exist.
        digest: SHA-256 of the network that it has to be made with; None: any.
    """
    try:
        facts = json.loads(sidecar_path(output).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(facts, dict) or "SynthtfVersion" not in facts or "Error" in facts:
        return False
    return digest is None or facts.get("ModelSHA256") == digest


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
