"""Images that networks make of many scans."""

import os
from typing import TYPE_CHECKING, Any

from synthtf.batch import Outcome
from synthtf.data.bids import Derivative
from synthtf.data.shipped_models import model_folder
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Output, Prediction
from synthtf.inference.imaging import correct, super_resolve
from synthtf.usage import UsageError, usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()
_CORRECTED = {
    "image": {"Description": "The scan divided by its bias field"},
    "field": {"Description": "The bias field; its logarithm varies about 0"},
}
"""What the JSON files of the outputs say about them."""


def super_resolve_cohort(
    source: str | os.PathLike,
    output: str | os.PathLike,
    model: str | os.PathLike | None = None,
    *,
    options: CohortOptions = _OPTIONS,
    **resolving: Any,
) -> Outcome:
    """Make images of high resolution of scans and write them; one bad scan never stops the others.

    Args:
        source: a volume, a folder, a .txt list, or the folder of a BIDS data set.
        output: a file for a file; a folder, or a .txt list, for a folder or a list; a folder,
            which becomes a BIDS data set of derivatives, for a BIDS data set.
        model: folder of a run, or name of a model. None: the one that comes with the package.
        options: JSON files, and what is skipped.
        resolving: more options of `super_resolve`.

    Returns:
        How many were made, and which failed and why.

    Raises:
        ValueError: if source, outputs and model do not fit.
    """
    with usage_errors():
        kinds = {"image": Output(output, "_sr", Derivative("superres"))}
        cohort = Cohort.plan(source, kinds, sidecars=options.sidecars)
        folder = model_folder(model, "super-resolution")

    def predict(job: Job, run: "Run") -> Prediction:
        return Prediction({"image": super_resolve(job.scan, run, **resolving)})

    return cohort.apply(
        "super-resolve",
        folder,
        predict,
        {"image": {"Description": "Image of the resolution of the network"}},
        options,
    )


def correct_cohort(
    source: str | os.PathLike,
    image: str | os.PathLike | None = None,
    model: str | os.PathLike | None = None,
    *,
    field: str | os.PathLike | None = None,
    options: CohortOptions = _OPTIONS,
    **correcting: Any,
) -> Outcome:
    """Remove the bias field from scans and write them; one bad scan never stops the others.

    Args:
        source: a volume, a folder, a .txt list, or the folder of a BIDS data set.
        image: for the corrected scan: a file for a file, else a folder or a .txt list.
        model: folder of a run, or name of a model. None: the one that comes with the package.
        field: likewise, for the field that the scan is divided by.
        options: JSON files, and what is skipped.
        correcting: more options of `correct`.

    Returns:
        How many were corrected, and which failed and why.

    Raises:
        ValueError: if source, outputs and model do not fit, or there is no output.
    """
    with usage_errors():
        outputs = {
            "image": Output(image, "_corrected", Derivative("biascorr")),
            "field": Output(field, "_field", Derivative("bias", "field")),
        }
        kinds = {name: output for name, output in outputs.items() if output.target}
        if not kinds:
            raise UsageError("expected at least one output: -o or -f")
        cohort = Cohort.plan(source, kinds, sidecars=options.sidecars)
        folder = model_folder(model, "bias")

    def predict(job: Job, run: "Run") -> Prediction:
        found = correct(job.scan, run, **correcting)
        return Prediction({name: getattr(found, name) for name in kinds})

    return cohort.apply("correct", folder, predict, _CORRECTED, options)
