"""Changes between many pairs of scans."""

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthtf.batch import Outcome
from synthtf.data.bids_pairs import PairDerivative
from synthtf.data.paths import writable_file
from synthtf.data.shipped_models import model_folder
from synthtf.data.tables import ScanTable
from synthtf.inference.changes import find_change, region_names
from synthtf.inference.cohorts.cohort import Begun, Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Output, Prediction
from synthtf.inference.cohorts.pairing import ScanPairs
from synthtf.usage import UsageError, usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()
_FIRST = "first scan"


def change_cohort(
    pairs: ScanPairs,
    output: str | os.PathLike | None = None,
    model: str | os.PathLike | None = None,
    *,
    affine: str | os.PathLike | None = None,
    aligned: bool = False,
    volumes: str | os.PathLike | None = None,
    options: CohortOptions = _OPTIONS,
    **finding: Any,
) -> Outcome:
    """Find changes between pairs of scans and write them; one bad pair never stops the others.

    Args:
        pairs: which scans: the later one is the moving, the earlier one the fixed scan.
        output: for the map: a file for one pair, else a folder.
        model: folder of a run, or name of a model. None: the one that comes with the package.
        affine: run of the kind affine or rigid, by which the scans are aligned. None: the one that
            comes with the package.
        aligned: whether the headers of the scans align them already, so that none is needed.
        volumes: CSV file of the change of each region in mm³, a row per pair; see `ScanTable`.
        options: JSON files, and what is skipped.
        finding: more options of `find_change`.

    Returns:
        For how many pairs changes were found, and which failed and why.

    Raises:
        ValueError: if pairs, outputs and models do not fit, or there is no output.
        OSError: if the table cannot be written.
    """
    with usage_errors():
        kinds = {"map": Output(output, "_change", PairDerivative("change"), ".nii.gz")}
        kinds = {name: kind for name, kind in kinds.items() if kind.target}
        if not kinds and volumes is None:
            raise UsageError("expected at least one output: -o or --vol")
        if aligned and affine is not None:
            raise UsageError("--aligned: scans that are aligned already need no --affine")
        cohort = Cohort.plan(pairs, kinds, sidecars=options.sidecars)
        models = {"Model": model_folder(model, "change")}
        if not aligned:
            models["AffineModel"] = model_folder(affine, "affine", "--affine")
        csv = writable_file(volumes, "--vol")
        table = None if csv is None else ScanTable(csv, keys=(_FIRST,))

    def begin(runs: dict[str, "Run"]) -> Begun:
        names = region_names(runs["Model"])
        if table is not None:
            table.begin([_FIRST, *names])
        cohort.describe()
        rows: dict[Path, list[dict[str, Any]]] = {}

        def predict(job: Job) -> Prediction:
            later, earlier = job.scans["Moving"], job.scans["Fixed"]
            aligner = runs.get("AffineModel")
            found = find_change(earlier, later, runs["Model"], affine=aligner, **finding)
            sizes = {name: round(size, 3) for name, size in found.volumes.items()}
            # A later scan may be compared with several.
            rows.setdefault(later, []).append({_FIRST: os.path.abspath(earlier), **sizes})
            note = table and functools.partial(table.add, later, *rows[later])
            outputs = {"map": found.map} if kinds else {}
            return Prediction(outputs, None, {"map": {"VolumeChanges": sizes}}, note)

        text = "Share of each voxel that a region has gained, above 0, or lost, below 0"
        return predict, {"map": {"Description": text, "Frames": names}}

    return cohort.run("change", models, begin, options, table)
