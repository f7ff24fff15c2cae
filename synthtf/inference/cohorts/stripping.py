"""Skull-stripping of many scans."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from synthtf.batch import Outcome
from synthtf.data.bids import Derivative
from synthtf.data.shipped_models import model_folder
from synthtf.data.volumes import Volume
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Output, Prediction
from synthtf.inference.cohorts.provenance import VOLUMES
from synthtf.inference.stripping import strip
from synthtf.usage import UsageError, usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()
_FACTS = {
    "image": {"Description": "The scan without what is not brain", "SkullStripped": True},
    "mask": {"Description": "The brain as 1", "Type": "Brain"},
    "distance": {"Description": "Distance to the brain, negative within", "Units": "mm"},
}
"""What the JSON files of the outputs say about them."""


def strip_cohort(
    source: str | os.PathLike,
    image: str | os.PathLike | None = None,
    model: str | os.PathLike | None = None,
    *,
    mask: str | os.PathLike | None = None,
    distance: str | os.PathLike | None = None,
    options: CohortOptions = _OPTIONS,
    **stripping: Any,
) -> Outcome:
    """Strip scans and write the results; one bad scan never stops the others.

    Args:
        source: a volume, a folder, a .txt list, or the folder of a BIDS data set.
        image: for the scan without the rest: a file for a file, else a folder or a .txt list.
        model: folder of a run, or name of a model. None: the one that comes with the package.
        mask: likewise, for the brain as 1.
        distance: likewise, for the signed distance to the brain in mm.
        options: JSON files, and what is skipped.
        stripping: more options of `strip`.

    Returns:
        How many were stripped, and which failed and why. A mask that cannot
        be a brain is a failure.

    Raises:
        ValueError: if source, outputs and model do not fit, or there is no output.
    """
    with usage_errors():
        outputs = {
            "image": Output(image, "_brain", Derivative("brain")),
            "mask": Output(mask, "_mask", Derivative("brain", "mask")),
            "distance": Output(distance, "_sdt", Derivative("brain", "sdt")),
        }
        kinds = {name: output for name, output in outputs.items() if output.target}
        if not kinds:
            raise UsageError("expected at least one output: -o, -m or -d")
        cohort = Cohort.plan(source, kinds, sidecars=options.sidecars)
        folder = model_folder(model, "stripping")

    def predict(job: Job, run: "Run") -> Prediction:
        found = strip(job.scan, run, **stripping)
        volumes = {name: getattr(found, name) for name in kinds}
        facts = {"mask": {VOLUMES: {"brain": _volume(found.mask)}}}
        return Prediction(volumes, found.doubt, facts)

    return cohort.apply("strip", folder, predict, _FACTS, options)


def _volume(mask: Volume) -> float:
    """Volume of a mask in mm³, the mean over its frames."""
    frames = mask.data.size / np.prod(mask.shape)
    voxel = abs(np.linalg.det(mask.affine[:3, :3]))
    return round(float(np.count_nonzero(mask.data) / frames * voxel), 3)
