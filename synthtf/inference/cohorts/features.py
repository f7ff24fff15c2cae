"""Features of the voxels of many scans."""

import os
from typing import TYPE_CHECKING, Any

from synthtf.batch import Outcome
from synthtf.data.bids import Derivative
from synthtf.data.shipped_models import model_folder
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Output, Prediction
from synthtf.inference.features import extract_features
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()


def features_cohort(
    source: str | os.PathLike,
    output: str | os.PathLike,
    model: str | os.PathLike | None = None,
    *,
    options: CohortOptions = _OPTIONS,
    **extracting: Any,
) -> Outcome:
    """Give the voxels of scans features and write them; one bad scan never stops the others.

    Args:
        source: a volume, a folder, a .txt list, or the folder of a BIDS data set.
        output: a file for a file; a folder, or a .txt list, for a folder or a list; a folder,
            which becomes a BIDS data set of derivatives, for a BIDS data set.
        model: folder of a run, or name of a model. None: that of the package, if there is one.
        options: JSON files, and what is skipped.
        extracting: more options of `extract_features`.

    Returns:
        How many were made, and which failed and why.

    Raises:
        ValueError: if source, outputs and model do not fit.
    """
    with usage_errors():
        kinds = {"features": Output(output, "_features", Derivative("features"))}
        cohort = Cohort.plan(source, kinds, sidecars=options.sidecars)
        folder = model_folder(model, "features")

    def predict(job: Job, run: "Run") -> Prediction:
        return Prediction({"features": extract_features(job.scan, run, **extracting)})

    text = "Features of each voxel as frames, of length 1, at the resolution of the network"
    return cohort.apply("features", folder, predict, {"features": {"Description": text}}, options)
