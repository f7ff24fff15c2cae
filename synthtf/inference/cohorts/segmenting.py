"""Segmentation of many scans."""

import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from synthtf.batch import Outcome
from synthtf.data.bids import Derivative
from synthtf.data.paths import writable_file
from synthtf.data.shipped_models import model_folder
from synthtf.data.tables import ScanTable, volume_columns
from synthtf.inference.cohorts.cohort import Begun, Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Output, Prediction
from synthtf.inference.cohorts.provenance import VOLUMES
from synthtf.inference.judging import judge, tissue_names
from synthtf.inference.lesions import check_lesions, lesion_labels
from synthtf.inference.segmenting import segment
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.inference.segmenting import Segmentation
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()
_INTRACRANIAL, _LESIONS = "total intracranial", "number of lesions"
_WARNINGS = "warnings"
_ENTROPY = "entropy of the posteriors, over the log of the number of labels"
_VARIANCE = "variance of the predictions, on the scan and its mirror image, summed over labels"


def segment_cohort(
    source: str | os.PathLike,
    output: str | os.PathLike,
    model: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
    *,
    volumes: str | os.PathLike | None = None,
    posteriors: bool = False,
    uncertainty: bool = False,
    lesions: str | os.PathLike | None = None,
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
        model: folder of a run, or name of a model; several for an ensemble, whose posteriors are
            averaged. None: the one that comes with the package.
        volumes: CSV file of the volumes of all structures in mm³, a row per scan; see `ScanTable`.
            Of a network that knows them, that of all within the skull, and the number of lesions.
            The last column, `warnings`, is empty when all is well.
        posteriors: whether to write posteriors as well.
        uncertainty: whether to write maps of how sure the network is, and intervals of the
            volumes.
        lesions: file, folder or list, as `output`, of the posterior of the lesions.
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
        if uncertainty:
            kind = Derivative("synthtf", "uncertainty")
            kinds["uncertainty"] = Output(None, "_uncertainty", kind)
        if lesions is not None:
            kinds["lesions"] = Output(lesions, "_lesions", Derivative("lesions", "probseg"))
        cohort = Cohort.plan(source, kinds, sidecars=options.sidecars)
        members = list(model) if isinstance(model, list | tuple) else [model]
        folders = [model_folder(member, "segmentation") for member in members]
        csv = writable_file(volumes, "--vol")
        table = None if csv is None else ScanTable(csv)
        csv = writable_file(quality, "--qc")
        judgements = None if csv is None else ScanTable(csv)
        models = {"Model": folders[0]}
        models |= {f"Model{n}": folder for n, folder in enumerate(folders[1:], start=2)}
        if judgements is not None:
            models["Judge"] = model_folder(judge_model, "quality", "--qc-model")

    def begin(runs: dict[str, "Run"]) -> Begun:
        run = runs["Model"]
        ensemble = [member for role, member in runs.items() if role.startswith("Model")]
        known = dict(zip(run.table.ids, run.table.names, strict=True))
        names = {label: known.get(label) or str(label) for label in run.output_labels}
        columns = volume_columns(names, run.output_labels)
        if lesions is not None:
            check_lesions(run)
        if table is not None:
            table.begin(_columns(run, columns, uncertainty))
        if judgements is not None:
            judgements.begin([*tissue_names(runs["Judge"]), "verdict"])
        cohort.describe(names)
        wanted = {"posteriors": posteriors, "uncertainty": uncertainty}
        wanted["lesions"] = lesions is not None

        def predict(job: Job) -> Prediction:
            found = segment(job.scan, ensemble, **wanted, **segmentation)
            notes = []
            if table is not None:
                notes.append(functools.partial(table.add, job.scan, _row(found, columns)))
            if judgements is not None:
                judged = judge(found.labels, runs["Judge"])
                scores = {name: f"{score:.3f}" for name, score in judged.scores.items()}
                scores["verdict"] = judged.verdict
                notes.append(functools.partial(judgements.add, job.scan, scores))
            outputs = {name: getattr(found, name) for name in ("labels", *wanted)}
            flipped = uncertainty and found.uncertainty.data.ndim > 3
            facts = {"uncertainty": {"Frames": [_ENTROPY, _VARIANCE] if flipped else [_ENTROPY]}}
            facts["labels"] = _measured(found, columns)
            note = functools.partial(_call_all, notes)
            return Prediction(outputs, found.doubt, facts, note)

        posterior = "Posterior probability of each label, one frame per label"
        lesion = "Posterior probability of lesions"
        return predict, {
            "labels": {"Description": "The most likely label of each voxel"},
            "posteriors": {"Description": posterior, "LabelMap": list(names.values())},
            "uncertainty": {"Description": "How unsure the network is"},
            "lesions": {"Description": lesion},
        }

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


def _columns(run: "Run", columns: dict[int, str], uncertainty: bool) -> list[str]:
    """Columns of the table of volumes, in order."""
    ends = ("", "_low", "_high") if uncertainty else ("",)
    found = [name + end for name in columns.values() for end in ends]
    csf = {run.table.mapping[value] for value in run.table.csf_labels}
    found += [_INTRACRANIAL] if csf & columns.keys() else []
    return found + ([_LESIONS] if lesion_labels(run) else []) + [_WARNINGS]


def _row(found: "Segmentation", columns: dict[int, str]) -> dict[str, str]:
    """Row of a scan in that table."""
    row = {columns[label]: f"{size:.3f}" for label, size in found.volumes.items()}
    for label, (low, high) in (found.intervals or {}).items():
        if label in columns:
            row[f"{columns[label]}_low"] = f"{low:.3f}"
            row[f"{columns[label]}_high"] = f"{high:.3f}"
    if found.intracranial is not None:
        row[_INTRACRANIAL] = f"{found.intracranial:.3f}"
    if found.num_lesions is not None:
        row[_LESIONS] = str(found.num_lesions)
    row[_WARNINGS] = "; ".join(filter(None, (found.doubt, *found.cautions)))
    return row


def _measured(found: "Segmentation", columns: dict[int, str]) -> dict[str, Any]:
    """What the JSON file of the labels says was measured, volumes in mm³."""
    sizes = {columns[label]: round(size, 3) for label, size in found.volumes.items()}
    if found.intracranial is not None:
        sizes[_INTRACRANIAL] = round(found.intracranial, 3)
    lesions = {} if found.num_lesions is None else {"NumberOfLesions": found.num_lesions}
    return {VOLUMES: sizes, **lesions}
