"""Surfaces of the cortex in many scans."""

import functools
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from synthtf.batch import Outcome
from synthtf.data.bids import Derivative
from synthtf.data.shipped_models import model_folder
from synthtf.data.surfaces import SHAPE, SURFACE, write_shape, write_surface
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Output, Prediction, Writer
from synthtf.inference.surfaces.level_maps import KINDS, SIDES
from synthtf.inference.surfaces.meshes import check_library
from synthtf.inference.surfaces.reconstructing import Cortex, find_surfaces
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()
_THICKNESS = "thickness"
_HEALTHY = (2.0, 4.0)  # mm
_FACTS = {
    "white": {"Description": "Border of white matter and cortex of a hemisphere"},
    "pial": {"Description": "Outer border of the cortex of a hemisphere"},
    _THICKNESS: {
        "Description": "Distance between both at each vertex of the white surface, to the nearest "
        "vertex of the pial surface and back; about 0 where there is no cortex",
        "Units": "mm",
    },
}
"""What the JSON files of the outputs say about them."""


def surfaces_cohort(
    source: str | os.PathLike,
    output: str | os.PathLike,
    model: str | os.PathLike | None = None,
    *,
    options: CohortOptions = _OPTIONS,
    **finding: Any,
) -> Outcome:
    """Find the surfaces of the cortex in scans and write them; one bad scan never stops the others.

    Args:
        source: a volume, a folder, a .txt list, or the folder of a BIDS data set.
        output: a folder, which becomes a BIDS data set of derivatives for a BIDS data set. Each
            scan gets six GIFTI files there: of each hemisphere the white and the pial surface, and
            the thickness between them.
        model: folder of a run, or name of a model. None: the one that comes with the package.
        options: JSON files, and what is skipped.
        finding: more options of `find_surfaces`.

    Returns:
        How many scans were processed, and which failed and why.

    Raises:
        ValueError: if source, output and model do not fit.
    """
    with usage_errors():
        check_library()
        kinds = {
            f"{side} {kind}": _output(output, side, kind)
            for side in SIDES
            for kind in (*KINDS, _THICKNESS)
        }
        cohort = Cohort.plan(source, kinds, sidecars=options.sidecars)
        folder = model_folder(model, "segmentation")

    def predict(job: Job, run: "Run") -> Prediction:
        found = find_surfaces(job.scan, run, **finding)
        return Prediction(_writers(found), found.doubt, _measured(found))

    facts = {name: _FACTS[name.split()[1]] for name in kinds}
    return cohort.apply("surfaces", folder, predict, facts, options)


def _output(folder: str | os.PathLike, side: str, kind: str) -> Output:
    hemisphere, ending = side[0].upper(), SHAPE if kind == _THICKNESS else SURFACE
    derivative = Derivative("synthtf", kind, hemisphere, ending)
    return Output(folder, f"_hemi-{hemisphere}_{kind}", derivative, ending, (ending,))


def _writers(found: Cortex) -> dict[str, Writer]:
    writers: dict[str, Writer] = {
        f"{side} {kind}": functools.partial(write_surface, surface=surface)
        for (side, kind), surface in found.surfaces.items()
    }
    for side, values in found.thickness.items():
        write = functools.partial(write_shape, values=values, name=_THICKNESS, side=side)
        writers[f"{side} {_THICKNESS}"] = write
    return writers


def _measured(found: Cortex) -> dict[str, dict[str, Any]]:
    """What the JSON files say was measured."""
    facts: dict[str, dict[str, Any]] = {
        f"{side} {kind}": {
            "Vertices": len(surface.vertices),
            "Handles": surface.handles,
            "Area": round(surface.area, 1),
        }
        for (side, kind), surface in found.surfaces.items()
    }
    low, high = _HEALTHY
    for side in found.thickness:
        values = found.cortical(side)
        if values.size:
            share = float(np.mean((values >= low) & (values <= high)))
            median = round(float(np.median(values)), 3)
            between = {f"ShareFrom{low:g}To{high:g}": round(share, 4)}
            facts[f"{side} {_THICKNESS}"] = {"Median": median, **between}
    return facts
