"""Many scans through a published network; one bad scan never stops the others."""

import functools
from collections.abc import Callable
from pathlib import Path

from synthtf.batch import Outcome, for_each_file
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import Job, Prediction
from synthtf.startup import load_backend

Predict = Callable[[Job], Prediction]


def run_published(
    command: str, cohort: Cohort, weights: Path, begin: Callable[[Path], Predict]
) -> Outcome:
    """Process the scans of a cohort.

    Args:
        command: name for messages.
        cohort: the scans and their outputs, without JSON files.
        weights: file of published weights.
        begin: takes the weights, once Keras is loaded, and gives what makes the outputs of a scan.

    Returns:
        The counts, and the failures.
    """
    load_backend()
    print(f"{command}: published weights {weights}")
    work = functools.partial(cohort.process, predict=begin(weights), provenance=None)
    return for_each_file(command, cohort.jobs, work, name=lambda job: job.scan, skipped=0)
