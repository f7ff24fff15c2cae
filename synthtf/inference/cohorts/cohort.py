"""Many scans: which outputs they get, which of these exist, and how they are written."""

import os
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from synthtf.data.bids import (
    Derivative,
    check_output_folder,
    describe_derivatives,
    find_scans,
    is_dataset,
    write_look_up_table,
)
from synthtf.data.paths import (
    expand_inputs,
    extension,
    output_in,
    pair_outputs,
    refuse_clashes,
    stem,
)
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume
from synthtf.inference.cohorts.provenance import (
    Provenance,
    model_digest,
    noted_warnings,
    sidecar_path,
    succeeded,
    write_sidecar,
)
from synthtf.version import __version__


@dataclass(frozen=True)
class Output:
    """A kind of volume that each scan gets.

    Attributes:
        target: What the user gave: a volume file, a folder or a .txt list; None for files beside
            those of the first kind.
        ending: Added to the scan's name in a folder; without a target, to that of the first kind.
        derivative: How it is called where the scans are a BIDS data set.
    """

    target: str | os.PathLike | None
    ending: str
    derivative: Derivative


@dataclass(frozen=True)
class Job:
    """A scan, and for each kind of output its file."""

    scan: Path
    outputs: dict[str, Path]


@dataclass(frozen=True)
class Prediction:
    """What was found in a scan.

    Attributes:
        volumes: Kind of output to volume.
        error: Why it is of no use, if it is not.
    """

    volumes: Mapping[str, Volume]
    error: str | None = None


@dataclass(frozen=True)
class Cohort:
    """Scans that are processed alike; `plan` makes one.

    Attributes:
        jobs: A job for each scan.
        sidecars: Whether outputs get a JSON file beside them.
        root: BIDS data set of the scans, if they belong to one.
        derivatives: Folder to the kinds of derivatives in it, if they do.
    """

    jobs: list[Job]
    sidecars: bool
    root: Path | None
    derivatives: dict[Path, list[Derivative]]

    @classmethod
    def plan(
        cls, source: str | os.PathLike, outputs: Mapping[str, Output], *, sidecars: bool = True
    ) -> "Cohort":
        """Name all outputs, before anything is loaded.

        Args:
            source: A volume, a folder, a .txt list, or the folder of a BIDS data set, whose
                outputs are folders that become BIDS data sets of derivatives.
            outputs: The kinds of output.
            sidecars: Whether outputs get a JSON file beside them.

        Raises:
            FileNotFoundError: If the source or a list of outputs does not exist.
            ValueError: If outputs do not fit the source, or two files would have one name.
        """
        root = Path(source) if is_dataset(source) else None
        scans = expand_inputs(source) if root is None else find_scans(root)
        paths = _plain_paths(source, outputs) if root is None else {}
        derivatives: dict[Path, list[Derivative]] = {}
        for name, output in outputs.items() if root is not None else ():
            folder = Path(output.target or next(iter(outputs.values())).target)
            derivatives.setdefault(folder, []).append(output.derivative)
            paths[name] = [output.derivative.path(folder, root, scan) for scan in scans]
        for folder in derivatives:
            check_output_folder(folder, root)
        jobs = [Job(scan, {name: paths[name][i] for name in paths}) for i, scan in enumerate(scans)]
        _refuse_double_names(jobs, sidecars)
        return cls(jobs, sidecars, root, derivatives)

    def unfinished(
        self, table: Container[Path] | None = None, model: Path | None = None
    ) -> list[Job]:
        """List the jobs of which something is missing.

        A job is finished if all its volumes exist, their JSON files, where they get any, tell of
        no error and of the same network, and its scan is in the table. A JSON file is written
        after its volume.

        Args:
            table: Scans with a row in the table, if one is written.
            model: Folder of the run whose network is used; None: outputs of any count.

        Raises:
            OSError: If the network cannot be read.
        """
        digest = None if model is None else model_digest(model)
        return [
            job
            for job in self.jobs
            if not self._exist(job, digest) or (table is not None and job.scan not in table)
        ]

    def describe(self, names: Mapping[int, str] | None = None) -> None:
        """Write what a BIDS data set of derivatives has for all its scans.

        Args:
            names: Label value to name, where there are segmentations.

        Raises:
            OSError: If a file cannot be written.
        """
        for folder, kinds in self.derivatives.items():
            describe_derivatives(folder, self.root, __version__, kinds)
            if names is not None:
                write_look_up_table(folder, names)

    def process(
        self, job: Job, predict: Callable[[Path], Prediction], provenance: Provenance
    ) -> None:
        """Predict a scan and write its outputs.

        Args:
            job: One of the jobs.
            predict: Makes the volumes of a scan.
            provenance: Where they come from.

        Raises:
            ValueError: If the prediction is of no use; outputs are written nonetheless.
            OSError: If an output cannot be written.
        """
        start = time.perf_counter()
        with noted_warnings() as messages:
            found = predict(job.scan)
            for name, path in job.outputs.items():
                write_volume(path, found.volumes[name].data, like=found.volumes[name])
        seconds = time.perf_counter() - start
        for name, path in job.outputs.items() if self.sidecars else ():
            facts = provenance.facts(name, job.scan, seconds, messages, found.error)
            write_sidecar(path, facts)
        if found.error is not None:
            raise ValueError(found.error)

    def _exist(self, job: Job, digest: str | None) -> bool:
        paths = job.outputs.values()
        return all(p.is_file() and (not self.sidecars or succeeded(p, digest)) for p in paths)


def _plain_paths(source: str | os.PathLike, outputs: Mapping[str, Output]) -> dict[str, list[Path]]:
    paths: dict[str, list[Path]] = {}
    for name, output in outputs.items():
        if output.target is not None:
            paths[name] = pair_outputs(source, output.target, output.ending)
        else:
            paths[name] = [
                output_in(path.parent, f"{stem(path)}{output.ending}{extension(path)}")
                for path in next(iter(paths.values()))
            ]
    return paths


def _refuse_double_names(jobs: list[Job], sidecars: bool) -> None:
    for job in jobs:
        if len({os.path.realpath(path) for path in job.outputs.values()}) < len(job.outputs):
            raise ValueError(
                f"two outputs of {job.scan} would be written to one file, "
                f"{next(iter(job.outputs.values()))}; give them different names"
            )
    pairs = [(job.scan, path) for job in jobs for path in job.outputs.values()]
    refuse_clashes([scan for scan, _ in pairs], [path for _, path in pairs])
    if not sidecars:
        return
    taken = {os.path.realpath(sidecar_path(job.scan)) for job in jobs}
    for _, path in pairs:
        sidecar = sidecar_path(path)
        if os.path.realpath(sidecar) in taken:
            raise ValueError(
                f"the JSON file of {path}, {sidecar.name}, would replace that of another volume; "
                "give another name, or --no-sidecar"
            )
        taken.add(os.path.realpath(sidecar))
