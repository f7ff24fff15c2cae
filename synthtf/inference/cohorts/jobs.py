"""What is done with a scan: its options, its outputs, and what was found in it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from synthtf.data.paths import EXTENSIONS
from synthtf.data.volumes import Volume

Writer = Callable[[Path], object]


class DerivedName(Protocol):
    """How an output is called in a BIDS data set; see `Derivative` and `PairDerivative`."""

    suffix: str | None

    def path(self, folder: Path, root: Path, *scans: Path) -> Path:
        """Place the file that is derived from scans of the data set `root`."""


@dataclass(frozen=True)
class CohortOptions:
    """How many scans are processed.

    Attributes:
        sidecars: whether outputs get a JSON file beside them, see `Provenance`.
        skip_existing: whether finished scans are left out, see `Cohort.unfinished`.
        command: what the JSON files name as the command. None: the function that was called.
    """

    sidecars: bool = True
    skip_existing: bool = False
    command: str | None = None


@dataclass(frozen=True)
class Output:
    """A kind of file that each scan gets.

    Attributes:
        target: What the user gave: a file, a folder or a .txt list; None for files beside those
            of the first kind.
        ending: Added to the scan's name in a folder; without a target, to that of the first kind.
        derivative: How it is called where the scans are a BIDS data set.
        file_ending: Of the files in a folder; None: that of the scan. For scans that are no pairs,
            the target is then always a folder, that of the first kind if there is none.
        endings: What a file may end in.
        sidecar: Whether it may have a JSON file.
    """

    target: str | os.PathLike | None
    ending: str
    derivative: DerivedName
    file_ending: str | None = None
    endings: tuple[str, ...] = EXTENSIONS
    sidecar: bool = True


@dataclass(frozen=True)
class Job:
    """What is processed at once.

    Attributes:
        scans: Role to scan: "Input", or "Moving" and "Fixed".
        outputs: Kind of output to its file.
        sidecars: Kind of output to its JSON file, if it gets one.
    """

    scans: dict[str, Path]
    outputs: dict[str, Path]
    sidecars: dict[str, Path]

    @property
    def scan(self) -> Path:
        """The scan, or the moving one."""
        return next(iter(self.scans.values()))


@dataclass(frozen=True)
class Prediction:
    """What was found in a scan.

    Attributes:
        outputs: Kind of output to a volume, or to a function that writes the file.
        error: Why it is of no use, if it is not.
        facts: Kind of output to what its JSON file says about it besides.
        note: Called when the outputs are written, such as to write a row of a table.
    """

    outputs: Mapping[str, Volume | Writer]
    error: str | None = None
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    note: Callable[[], object] | None = None
