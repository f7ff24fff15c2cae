"""How good many scans are."""

import functools
import os
from typing import TYPE_CHECKING

from synthtf.batch import Outcome
from synthtf.data.paths import writable_file
from synthtf.data.shipped_models import model_folder
from synthtf.data.tables import ScanTable
from synthtf.inference.cohorts.cohort import Begun, Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Prediction
from synthtf.inference.judging import judge_image, number_names
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()


def judge_cohort(
    source: str | os.PathLike,
    table: str | os.PathLike,
    model: str | os.PathLike | None = None,
    *,
    options: CohortOptions = _OPTIONS,
    ct: bool = False,
) -> Outcome:
    """Tell how good scans are, in a table; one bad scan never stops the others.

    Args:
        source: a volume, a folder, a .txt list, or the folder of a BIDS data set.
        table: CSV file, a row per scan and a column per number; see `ScanTable`.
        model: folder of a run, or name of a model. None: the one that comes with the package.
        options: what is skipped.
        ct: whether scans are in Hounsfield units.

    Returns:
        How many were judged, and which failed and why.

    Raises:
        ValueError: if source, table and model do not fit.
        OSError: if the table cannot be written.
    """
    with usage_errors():
        cohort = Cohort.plan(source, {}, sidecars=False)
        folder = model_folder(model, "quality")
        rows = ScanTable(writable_file(table, "--csv"))

    def begin(runs: dict[str, "Run"]) -> Begun:
        rows.begin(number_names(runs["Model"]))

        def predict(job: Job) -> Prediction:
            found = judge_image(job.scan, runs["Model"], ct)
            row = {name: f"{number:.4f}" for name, number in found.items()}
            return Prediction({}, note=functools.partial(rows.add, job.scan, row))

        return predict, {}

    return cohort.run("quality", {"Model": folder}, begin, options, rows)
