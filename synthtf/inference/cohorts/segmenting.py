"""Segmentation of many scans."""

import functools
import os
import warnings
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
        kinds = {"labels": Output(output, "_seg", Derivative("synthtf", "dseg"))}
        if posteriors:
            kinds["posteriors"] = Output(None, "_posteriors", Derivative("synthtf", "probseg"))
        cohort = Cohort.plan(source, kinds, sidecars=options.sidecars)
        folder = model_folder(model, "segmentation")
        csv = writable_file(volumes, "--vol")
        table = None if csv is None else ScanTable(csv)

    def begin(runs: dict[str, "Run"]) -> Begun:
        run = runs["Model"]
        known = dict(zip(run.table.ids, run.table.names, strict=True))
        names = {label: known.get(label) or str(label) for label in run.output_labels}
        columns = volume_columns(names, run.output_labels)
        if table is not None:
            table.begin(list(columns.values()))
        cohort.describe(names)

        def predict(job: Job) -> Prediction:
            found = segment(job.scan, run, posteriors=posteriors, **segmentation)
            row = {columns[label]: f"{size:.3f}" for label, size in found.volumes.items()}
            note = None if table is None else functools.partial(table.add, job.scan, row)
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
        return cohort.run("segment", {"Model": folder}, begin, options, table)
