"""Segmentation of many scans."""

import functools
import os
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from synthtf.batch import Outcome
from synthtf.data.bids import Derivative
from synthtf.data.paths import writable_file
from synthtf.data.shipped_models import model_folder
from synthtf.data.tables import ScanTable, volume_columns
from synthtf.inference.cohorts.cohort import (
    Begun,
    Cohort,
    CohortOptions,
    Job,
    Output,
    Prediction,
)
from synthtf.inference.judging import judge, tissue_names
from synthtf.inference.plausible import ImplausibleWarning
from synthtf.inference.segmenting import EmptySegmentationWarning, segment
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()


def segment_cohort(
    source: str | os.PathLike,
    output: str | os.PathLike,
    model: str | os.PathLike | None = None,
    *,
    volumes: str | os.PathLike | None = None,
    posteriors: bool = False,
    quality: str | os.PathLike | None = None,
    judge_model: str | os.PathLike | None = None,
    options: CohortOptions = _OPTIONS,
    **segmentation: Any,
) -> Outcome:
    """Segment scans and write the results; one bad scan never stops the others.

    Args:
        source: a volume, a folder, a .txt list, or the folder of a BIDS data set.
        output: a file for a file; a folder, or a .txt list, for a folder or a list; a folder,
            which becomes a BIDS data set of derivatives, for a BIDS data set.
        model: folder of a run, or name of a model. None: the one that comes with the package.
        volumes: CSV file of the volumes of all structures in mm³, a row per scan; see `ScanTable`.
        posteriors: whether to write posteriors as well.
        quality: CSV file of the predicted Dice of each tissue and a verdict, a row per scan.
        judge_model: folder of the run of the task "quality" that predicts it.
        options: JSON files, and what is skipped.
        segmentation: more options of `segment`.

    Returns:
        How many were segmented, and which failed and why. A result that
        cannot be is a failure.

    Raises:
        ValueError: if source, outputs and model do not fit.
        OSError: if the table cannot be written.
    """
    with usage_errors():
        if (quality is None) != (judge_model is None):
            raise ValueError(
                "--qc and --qc-model must be given together. "
                f"Received: --qc {quality}, --qc-model {judge_model}"
            )
        kinds = {"labels": Output(output, "_seg", Derivative("synthtf", "dseg"))}
        if posteriors:
            kinds["posteriors"] = Output(None, "_posteriors", Derivative("synthtf", "probseg"))
        cohort = Cohort.plan(source, kinds, sidecars=options.sidecars)
        folder = model_folder(model, "segmentation")
        csv = writable_file(volumes, "--vol")
        table = None if csv is None else ScanTable(csv)
        csv = writable_file(quality, "--qc")
        judgements = None if csv is None else ScanTable(csv)
        models = {"Model": folder}
        if judgements is not None:
            models["Judge"] = model_folder(judge_model, "quality", "--qc-model")

    def begin(runs: dict[str, "Run"]) -> Begun:
        run = runs["Model"]
        known = dict(zip(run.table.ids, run.table.names, strict=True))
        names = {label: known.get(label) or str(label) for label in run.output_labels}
        columns = volume_columns(names, run.output_labels)
        if table is not None:
            table.begin(list(columns.values()))
        if judgements is not None:
            judgements.begin([*tissue_names(runs["Judge"]), "verdict"])
        cohort.describe(names)

        def predict(job: Job) -> Prediction:
            found = segment(job.scan, run, posteriors=posteriors, **segmentation)
            row = {columns[label]: f"{size:.3f}" for label, size in found.volumes.items()}
            notes = [] if table is None else [functools.partial(table.add, job.scan, row)]
            if judgements is not None:
                judged = judge(found.labels, runs["Judge"])
                scores = {name: f"{score:.3f}" for name, score in judged.scores.items()}
                scores["verdict"] = judged.verdict
                notes.append(functools.partial(judgements.add, job.scan, scores))
            note = functools.partial(_call_all, notes)
            outputs = {"labels": found.labels, "posteriors": found.posteriors}
            return Prediction(outputs, found.doubt, note=note)

        posterior = "Posterior probability of each label, one frame per label"
        return predict, {
            "labels": {"Description": "The most likely label of each voxel"},
            "posteriors": {"Description": posterior, "LabelMap": list(names.values())},
        }

    with warnings.catch_warnings():
        # A result of no use is reported as a failure of its scan, not as a warning as well.
        for kind in (EmptySegmentationWarning, ImplausibleWarning):
            warnings.simplefilter("ignore", kind)
        return cohort.run("segment", models, begin, options, _Tables(table, judgements))


class _Tables:
    """Scans that have a row in each of several tables."""

    def __init__(self, *tables: ScanTable | None) -> None:
        self.tables = [table for table in tables if table is not None]

    def __contains__(self, scan: object) -> bool:
        return all(scan in table for table in self.tables)


def _call_all(functions: Sequence[Callable[[], object]]) -> None:
    for function in functions:
        function()
