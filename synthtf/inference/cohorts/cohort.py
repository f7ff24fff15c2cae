"""Many scans: which outputs they get, which of these exist, and how they are written."""

import functools
import os
import time
import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthtf.batch import Outcome, for_each_file
from synthtf.data.bids import (
    check_output_folder,
    find_scans,
    image_facts,
    is_dataset,
)
from synthtf.data.bids_description import describe_derivatives, write_look_up_table
from synthtf.data.own_files import refuse_foreign_json
from synthtf.data.paths import (
    check_ending,
    expand_inputs,
    expand_scans,
    extension,
    output_folder,
    output_in,
    pair_outputs,
    refuse_clashes,
    sidecar_path,
    stem,
)
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume
from synthtf.data.writable import check_writable
from synthtf.inference.cohorts.jobs import (
    CohortOptions,
    DerivedName,
    Job,
    Output,
    Prediction,
    Writer,
)
from synthtf.inference.cohorts.pairing import ScanPairs
from synthtf.inference.cohorts.provenance import (
    Provenance,
    model_digests,
    noted_warnings,
    succeeded,
    write_sidecar,
)
from synthtf.inference.plausible import UselessWarning
from synthtf.startup import load_backend
from synthtf.version import __version__

if TYPE_CHECKING:
    from synthtf.runs.run import Run

Begun = tuple[Callable[["Job"], "Prediction"], Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Cohort:
    """Scans that are processed alike; `plan` makes one.

    Attributes:
        jobs: A job for each scan, or pair of scans.
        root: BIDS data set of the scans, if they belong to one.
        derivatives: Folder to the kinds of derivatives in it, if they do.
    """

    jobs: list[Job]
    root: Path | None
    derivatives: dict[Path, list[DerivedName]]

    @classmethod
    def plan(
        cls,
        source: str | os.PathLike | ScanPairs,
        outputs: Mapping[str, Output],
        *,
        sidecars: bool = True,
        others: Sequence[Path] = (),
    ) -> "Cohort":
        """Name all outputs, before anything is loaded.

        Args:
            source: A volume, a folder, a .txt list, or the folder or a part of a BIDS data set,
                whose outputs are folders that become BIDS data sets of derivatives; or pairs of
                scans.
            outputs: The kinds of output.
            sidecars: Whether outputs get a JSON file beside them.
            others: More files that are read, which no output may replace.

        Raises:
            FileNotFoundError: If the source or a list of outputs does not exist.
            ValueError: If outputs do not fit the source, or two files would have one name.
        """
        if isinstance(source, ScanPairs):
            root = source.root
            scans = [{"Moving": moving, "Fixed": fixed} for moving, fixed in source.pairs]
        else:
            root = Path(source) if is_dataset(source) else None
            files = expand_scans(source) if root is None else find_scans(source)
            scans = [{"Input": file} for file in files]
        paths = _plain_paths(source, outputs) if root is None else {}
        derivatives: dict[Path, list[DerivedName]] = {}
        for name, output in outputs.items() if root is not None else ():
            folder = Path(output.target or next(iter(outputs.values())).target)
            derivatives.setdefault(folder, []).append(output.derivative)
            paths[name] = [output.derivative.path(folder, root, *s.values()) for s in scans]
        for folder in derivatives:
            check_output_folder(folder, root)
        for name, output in outputs.items():
            for path in paths[name]:
                check_ending(path, output.endings)
        jobs = []
        for index, files in enumerate(scans):
            named = {name: paths[name][index] for name in outputs}
            noted = [name for name in named if sidecars and outputs[name].sidecar]
            jobs.append(Job(files, named, {n: _sidecar(named[n], root) for n in noted}))
        _refuse_double_names(jobs, others)
        return cls(jobs, root, derivatives)

    def unfinished(
        self,
        table: Container[Path] | None = None,
        models: Mapping[str, Path] | None = None,
        facts: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> list[Job]:
        """List the jobs that are not finished.

        A job is finished if all its files exist, its JSON files report no error, the same networks
        and facts, and its scan is in the table. A JSON file is written after its output.

        Args:
            table: Scans with a row in the table, if one is written.
            models: Role to folder of the runs whose networks are used; None: any.
            facts: Kind of output to what its JSON file should say.

        Raises:
            OSError: If a network cannot be read.
        """
        digests = None if models is None else model_digests(models)
        return [
            job
            for job in self.jobs
            if not all(path.is_file() for path in job.outputs.values())
            or not all(
                succeeded(path, digests, (facts or {}).get(name, {}))
                for name, path in job.sidecars.items()
            )
            or (table is not None and job.scan not in table)
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

    def run(
        self,
        command: str,
        models: Mapping[str, Path],
        begin: Callable[[dict[str, "Run"]], Begun],
        options: CohortOptions,
        table: Container[Path] | None = None,
        facts: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Outcome:
        """Process all jobs, or those that are not finished.

        Args:
            command: Subcommand, for messages.
            models: Role to folder of the runs.
            begin: Takes the runs by role, if any job is left. Returns what makes the outputs of a
                job, and kind of output to what its JSON file says about it.
            options: JSON files, and what is skipped.
            table: Scans with a row in the table, if one is written.
            facts: Kind of output to what its JSON file has to say to be skipped.

        Returns:
            The counts, and the failures.
        """
        jobs = self.unfinished(table, models, facts) if options.skip_existing else self.jobs
        work = None
        if jobs:
            load_backend()
            from synthtf.runs.run import Run

            runs = {role: Run.load(folder) for role, folder in models.items()}
            predict, facts = begin(runs)
            name = options.command or f"synthtf.inference.{command}_cohort"
            provenance = Provenance(runs, name, facts, self.root)
            work = functools.partial(self.process, predict=predict, provenance=provenance)
        skipped = len(self.jobs) - len(jobs)
        with warnings.catch_warnings():  # reported as the failure of a scan already
            warnings.simplefilter("ignore", UselessWarning)
            return for_each_file(command, jobs, work, name=lambda job: job.scan, skipped=skipped)

    def apply(
        self,
        command: str,
        folder: Path,
        predict: Callable[[Job, "Run"], Prediction],
        facts: Mapping[str, Mapping[str, Any]],
        options: CohortOptions,
    ) -> Outcome:
        """Apply one network to all jobs, or to those that are not finished.

        Args:
            command: Subcommand, for messages.
            folder: Of the run.
            predict: Makes the outputs of a job.
            facts: Kind of output to what its JSON file says about it.
            options: JSON files, and what is skipped.

        Returns:
            The counts, and the failures.
        """

        def begin(runs: dict[str, "Run"]) -> Begun:
            self.describe()
            return functools.partial(predict, run=runs["Model"]), facts

        return self.run(command, {"Model": folder}, begin, options, facts=facts)

    def process(
        self, job: Job, predict: Callable[[Job], Prediction], provenance: Provenance
    ) -> None:
        """Predict a job and write its outputs.

        Args:
            job: One of the jobs.
            predict: Makes the outputs of a job.
            provenance: Where they come from.

        Raises:
            ValueError: If the prediction is of no use; outputs are written nonetheless.
            OSError: If an output cannot be written.
        """
        start = time.perf_counter()
        with noted_warnings() as messages:
            found = predict(job)
            for name, path in job.outputs.items():
                _writer(found.outputs[name])(path)
            if found.note is not None:
                found.note()
        seconds = time.perf_counter() - start
        for name, path in job.sidecars.items():
            facts = provenance.facts(name, job.scans, seconds, messages, found.error)
            image = {} if self.root is None else image_facts(path, job.scan)
            write_sidecar(path, {**image, **found.facts.get(name, {}), **facts})
        if found.error is not None:
            raise ValueError(found.error)


def _writer(output: Volume | Writer) -> Writer:
    if isinstance(output, Volume):
        return functools.partial(write_volume, data=output.data, like=output)
    return output


def _plain_paths(
    source: str | os.PathLike | ScanPairs, outputs: Mapping[str, Output]
) -> dict[str, list[Path]]:
    paths: dict[str, list[Path]] = {}
    for name, output in outputs.items():
        if isinstance(source, ScanPairs):
            where = output.target, output.ending, output.file_ending, output.endings
            paths[name] = source.paths(*where)
        elif output.file_ending is not None:
            target = output.target or next(iter(outputs.values())).target
            folder, end = output_folder(target, "output"), output.ending + output.file_ending
            scans = expand_inputs(source, derived=False)
            paths[name] = [output_in(folder, f"{stem(scan)}{end}") for scan in scans]
        elif output.target is not None:
            paths[name] = pair_outputs(source, output.target, output.ending)
        else:
            paths[name] = [
                output_in(path.parent, f"{stem(path)}{output.ending}{extension(path)}")
                for path in next(iter(paths.values()))
            ]
    return paths


def _sidecar(output: Path, root: Path | None) -> Path:
    """JSON file of an output; names of BIDS have no dot but that of the ending."""
    return sidecar_path(output if root is None else output.with_name(output.name.split(".")[0]))


def _refuse_double_names(jobs: list[Job], others: Sequence[Path]) -> None:
    for job in jobs:
        if len({os.path.realpath(path) for path in job.outputs.values()}) < len(job.outputs):
            raise ValueError(
                f"two outputs of {job.scan} would be written to one file, "
                f"{next(iter(job.outputs.values()))}; give them different names"
            )
    scans = [scan for job in jobs for scan in job.scans.values()]
    pairs = [(job.scan, path) for job in jobs for path in job.outputs.values()]
    refuse_clashes(
        [scan for scan, _ in pairs], [path for _, path in pairs], others=[*scans, *others]
    )
    taken = {os.path.realpath(sidecar_path(scan)) for scan in scans}
    for job in jobs:
        for name, sidecar in job.sidecars.items():
            if os.path.realpath(sidecar) in taken:
                raise ValueError(
                    f"the JSON file of {job.outputs[name]}, {sidecar.name}, would replace that of "
                    "another volume; give another name, or --no-sidecar"
                )
            taken.add(os.path.realpath(sidecar))
            check_writable(sidecar)
            refuse_foreign_json(sidecar, job.outputs[name])
