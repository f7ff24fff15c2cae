"""The Dice of what a network finds in a scan whose truth is known."""

import warnings
from collections.abc import Callable

import numpy as np

from synthtf.data.grid import check_same_grid
from synthtf.data.scan_truths import LabelledScan
from synthtf.data.volumes import Volume, read_volume
from synthtf.evaluation.comparing import dice, occurring
from synthtf.inference.caution import CautionWarning
from synthtf.inference.plausible import UselessWarning
from synthtf.inference.segmenting import segment
from synthtf.inference.slices import segment_slices, strip_slices
from synthtf.inference.stripping import strip
from synthtf.runs.run import Run

_BRAIN = {1: "brain"}
"""Labels of a brain mask."""


def scan_dice(scan: LabelledScan, run: Run) -> dict[tuple[int, str], float]:
    """Give the Dice of what the network found in a scan, or should have found.

    A network of two dimensions is used on images of two, and on the axial slices of a scan.

    Args:
        scan: with the truth.
        run: of the network.

    Returns:
        Label and name of each structure to its Dice.

    Raises:
        ValueError: if the scan and its truth are on different grids, or the network neither
            segments nor strips.
    """
    if run.task not in _FOUND:
        raise ValueError(
            f"expected a network that segments or strips. Received one of {run.task}: {run.name}"
        )
    with warnings.catch_warnings():
        # A network that has just begun finds nothing, or is unsure.
        for kind in (UselessWarning, CautionWarning):
            warnings.simplefilter("ignore", kind)
        found = _FOUND[run.task](scan, run)
    truth = read_volume(scan.mask if scan.labels is None else scan.labels, labels=True)
    check_same_grid(found, truth)
    if run.task == "segmentation" and scan.labels is not None:
        names = dict(zip(run.table.ids, run.table.names, strict=True))
        pair = found.data, truth.data
    else:
        names = _BRAIN
        brain = run.table.brain_outputs
        is_found = np.isin(found.data, brain if run.task == "segmentation" else (1,))
        true = (*run.table.brain_labels, *brain)
        is_true = truth.data != 0 if scan.labels is None else np.isin(truth.data, true)
        pair = is_found.astype("int32"), is_true.astype("int32")
    scores = dice(*pair, occurring(*pair))
    return {(label, names.get(label, str(label))): score for label, score in scores.items()}


def _segmented(scan: LabelledScan, run: Run) -> Volume:
    if len(run.spacing) == 2:
        return segment_slices(scan.image, run, scan.ct)
    return segment(scan.image, run, ct=scan.ct).labels


def _stripped(scan: LabelledScan, run: Run) -> Volume:
    if len(run.spacing) == 2:
        return strip_slices(scan.image, run, scan.ct)
    return strip(scan.image, run, ct=scan.ct).mask


_FOUND: dict[str, Callable[[LabelledScan, Run], Volume]] = {
    "segmentation": _segmented,
    "stripping": _stripped,
}

MEASURED = tuple(_FOUND)
"""Tasks whose networks find what can be compared."""
