"""Segmentation of many scans by the example of a few."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthtf.batch import Outcome
from synthtf.data.bids import Derivative
from synthtf.data.shipped_models import file_digest, model_folder
from synthtf.inference.by_example import segment_in_context
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Output, Prediction
from synthtf.usage import UsageError, usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()


def in_context_cohort(
    source: str | os.PathLike,
    output: str | os.PathLike,
    context: Sequence[Sequence[str | os.PathLike]],
    model: str | os.PathLike | None = None,
    *,
    options: CohortOptions = _OPTIONS,
    **segmenting: Any,
) -> Outcome:
    """Segment scans by the example of a few, and write the labels.

    Args:
        source: a volume, a folder, a .txt list, or the folder of a BIDS data set.
        output: a file for a file; a folder, or a .txt list, for a folder or a list; a folder,
            which becomes a BIDS data set of derivatives, for a BIDS data set.
        context: pairs of the file of an image and that of its label map.
        model: folder of a run, or name of a model. None: that of the package, if there is one.
        options: JSON files, and what is skipped.
        segmenting: more options of `segment_in_context`.

    Returns:
        How many were segmented, and which failed and why.

    Raises:
        ValueError: if source, outputs, context and model do not fit.
    """
    with usage_errors():
        pairs = [[Path(file) for file in pair] for pair in context]
        files = [file for pair in pairs for file in pair]
        for file in files:
            if not file.is_file():
                raise UsageError(f"--context: {file} does not exist")
        kinds = {"labels": Output(output, "_seg", Derivative("context", "dseg"))}
        cohort = Cohort.plan(source, kinds, sidecars=options.sidecars, others=files)
        folder = model_folder(model, "in-context")
    images, maps = ([pair[i] for pair in pairs] for i in (0, 1))

    def predict(job: Job, run: "Run") -> Prediction:
        found = segment_in_context(job.scan, images, maps, run, **segmenting)
        return Prediction({"labels": found})

    facts = {
        "Description": "Labels by example",
        "Context": [str(file.resolve()) for file in files],
        "ContextSHA256": [file_digest(file) for file in files],
    }
    return cohort.apply("in-context", folder, predict, {"labels": facts}, options)
