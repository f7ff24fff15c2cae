"""Objects of many scans."""

import os
from typing import TYPE_CHECKING, Any

from synthtf.batch import Outcome
from synthtf.data.bids import Derivative
from synthtf.data.shipped_models import model_folder
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Output, Prediction
from synthtf.inference.defaults import OBJECT_OVERLAP, OBJECT_PROBABILITY
from synthtf.inference.instances import check_shares, find_instances
from synthtf.inference.stars import check_stardist
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()


def instances_cohort(
    source: str | os.PathLike,
    output: str | os.PathLike,
    model: str | os.PathLike | None = None,
    *,
    threshold: float = OBJECT_PROBABILITY,
    overlap: float = OBJECT_OVERLAP,
    options: CohortOptions = _OPTIONS,
    **finding: Any,
) -> Outcome:
    """Tell the objects in scans apart and write them; one bad scan never stops the others.

    Args:
        source: a volume, a folder, a .txt list, or the folder of a BIDS data set.
        output: a file for a file; a folder, or a .txt list, for a folder or a list; a folder,
            which becomes a BIDS data set of derivatives, for a BIDS data set.
        model: folder of a run, or name of a model. None: that of the package, if there is one.
        threshold: object probability above which a maximum proposes an object, in [0, 1].
        overlap: share of the smaller of two objects above which the less probable one is dropped.
        options: JSON files, and what is skipped.
        finding: more options of `find_instances`.

    Returns:
        How many scans were done, and which failed and why.

    Raises:
        ValueError: if source, outputs and model do not fit, an option is out of range, or the
            package stardist is missing.
    """
    with usage_errors():
        kinds = {"objects": Output(output, "_instances", Derivative("instances", "dseg"))}
        cohort = Cohort.plan(source, kinds, sidecars=options.sidecars)
        folder = model_folder(model, "instances")
        shares = {"threshold": threshold, "overlap": overlap}
        check_shares(**shares)
        check_stardist()

    def predict(job: Job, run: "Run") -> Prediction:
        found = find_instances(job.scan, run, **shares, **finding)
        facts = {"objects": {"NumberOfObjects": int(found.data.max())}}
        return Prediction({"objects": found}, facts=facts)

    return cohort.apply(
        "instances",
        folder,
        predict,
        {"objects": {"Description": "A number for each object, 0 elsewhere"}},
        options,
    )
