"""SynthStrip for many scans: with published weights, or with the network of this package."""

import functools
import os
from pathlib import Path

import numpy as np

from synthtf.batch import Outcome
from synthtf.data.bids import Derivative
from synthtf.data.shipped_models import default_model
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Output, Prediction, Writer
from synthtf.inference.cohorts.stripping import strip_cohort
from synthtf.inference.patches.memory import MemoryBudget
from synthtf.published.cohorts import Predict, run_published
from synthtf.published.weight_files import SOURCES, find_weights
from synthtf.usage import UsageError, usage_errors

WEIGHTS = {True: "synthstrip.1.pt", False: "synthstrip.nocsf.1.pt"}
"""File of weights, with the CSF around the brain and without."""

_COMMAND = "synthstrip"
_EMPTY = "no brain was found; do the weights suit?"


def synthstrip(
    source: str | os.PathLike,
    image: str | os.PathLike | None = None,
    *,
    mask: str | os.PathLike | None = None,
    distance: str | os.PathLike | None = None,
    model: str | os.PathLike | None = None,
    csf: bool = True,
    border: float = 1.0,
    fill: float | None = None,
    budget: MemoryBudget | None = None,
) -> Outcome:
    """Strip scans as `mri_synthstrip` does, and write the results.

    Without published weights, the network of this package is used, and a line says so.

    Args:
        source: a volume, a folder, a .txt list, or the folder of a BIDS data set.
        image: for the stripped scan: a file for a file, else a folder or a .txt list.
        mask: files for the brain as 1, given as for `image`.
        distance: files for the signed distance to the brain in mm, given as for `image`.
        model: file of weights, or the folder of the published ones. None: where the environment
            says they are.
        csf: whether the CSF around the brain belongs to the mask.
        border: distance of the edge of the mask from the brain, in mm.
        fill: value outside of the mask. None: 0, or the lowest value of the scan below it.
        budget: memory that the process may take. None: no limit.

    Returns:
        How many were stripped, and which failed and why.

    Raises:
        ValueError: if source and outputs do not fit, there is no output, or the weights are not
            those of SynthStrip.
        FileNotFoundError: if `model` does not exist.
    """
    with usage_errors():
        outputs = {
            "image": Output(image, "_brain", Derivative("brain")),
            "mask": Output(mask, "_mask", Derivative("brain", "mask")),
            "distance": Output(distance, "_sdt", Derivative("brain", "sdt")),
        }
        kinds = {name: output for name, output in outputs.items() if output.target}
        if not kinds:
            raise UsageError("at least one output must be given: -o, -m or -d")
        cohort = Cohort.plan(source, kinds, sidecars=False)
        weights = find_weights(WEIGHTS[csf], model=model)
    if weights is None:
        print(
            f"{_COMMAND}: no published weights {WEIGHTS[csf]} ({SOURCES}); the network "
            f"{default_model('stripping').name} of synthtf is used instead"
        )
        return strip_cohort(
            source,
            image,
            mask=mask,
            distance=distance,
            options=CohortOptions(sidecars=False),
            csf=csf,
            border=border,
            fill=fill,
            budget=budget,
        )

    def begin(weights: Path) -> Predict:
        from synthtf.interop.synthstrip import load_synthstrip
        from synthtf.published.synthstrip.pipeline import strip_brain

        network = load_synthstrip(weights)

        def predict(job: Job) -> Prediction:
            found = strip_brain(job.scan, network, border, fill, budget)
            made = {"mask": found.mask, "distance": found.distance, "image": _own_type(found.image)}
            return Prediction(
                {name: made[name] for name in kinds}, _EMPTY if found.is_empty else None
            )

        return predict

    cohort.describe()
    return run_published(_COMMAND, cohort, weights, begin)


def _own_type(image: Volume) -> Writer:
    """Write a scan in the type of its file, unless that scales its numbers or does not fit."""
    stored = image.header.get_data_dtype()
    scaled = "scl_slope" in image.header and image.header.get_slope_inter() not in (
        (None, None),
        (1.0, 0.0),
    )
    data = image.data if stored.kind == "f" or scaled else image.data.astype(stored)
    # What is put outside of the mask may not fit the type.
    if scaled or not np.array_equal(data, image.data):
        return functools.partial(write_volume, data=image.data, like=image, dtype="float32")
    return functools.partial(write_volume, data=data, like=image, dtype=stored)
