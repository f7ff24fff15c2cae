"""Many scans without their lesions."""

import os
from typing import TYPE_CHECKING, Any

from synthtf.batch import Outcome
from synthtf.data.bids import Derivative
from synthtf.data.paths import expand_scans
from synthtf.data.shipped_models import model_folder
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Output, Prediction
from synthtf.inference.inpainting import inpaint
from synthtf.usage import UsageError, usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()


def inpaint_cohort(
    source: str | os.PathLike,
    masks: str | os.PathLike,
    output: str | os.PathLike,
    model: str | os.PathLike | None = None,
    *,
    options: CohortOptions = _OPTIONS,
    **filling: Any,
) -> Outcome:
    """Fill parts of scans and write them; one bad scan never stops the others.

    Args:
        source: a volume, a folder, a .txt list, or the folder of a BIDS data set.
        masks: one mask for all, or as many as there are scans, in their order: a volume, a folder
            or a .txt list.
        output: a file for a file; a folder, or a .txt list, for a folder or a list; a folder,
            which becomes a BIDS data set of derivatives, for a BIDS data set.
        model: folder of a run, or name of a model. None: that of the package, if there is one.
        options: JSON files, and what is skipped.
        filling: more options of `inpaint`.

    Returns:
        How many were filled, and which failed and why.

    Raises:
        ValueError: if source, masks, outputs and model do not fit.
    """
    with usage_errors():
        files = expand_scans(masks)
        kinds = {"image": Output(output, "_inpainted", Derivative("inpainted"))}
        cohort = Cohort.plan(source, kinds, sidecars=options.sidecars, others=files)
        if len(files) not in (1, len(cohort.jobs)):
            raise UsageError(
                f"expected one MASK, or as many as scans. Received: {len(files)} masks and "
                f"{len(cohort.jobs)} scans"
            )
        folder = model_folder(model, "inpainting")
    mask_of = dict(zip([job.scan for job in cohort.jobs], files * len(cohort.jobs), strict=False))

    def predict(job: Job, run: "Run") -> Prediction:
        mask = mask_of[job.scan]
        image = inpaint(job.scan, mask, run, **filling)
        return Prediction({"image": image}, facts={"image": {"Mask": str(mask)}})

    return cohort.apply(
        "inpaint",
        folder,
        predict,
        {"image": {"Description": "The scan with healthy anatomy in the mask"}},
        options,
    )
