"""Finding the brain with a network of coarse voxels for one of fine voxels, which takes longer."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from synthtf.inference.conform import Box, ConformedGrid
from synthtf.inference.kept import kept_with_network
from synthtf.inference.locate import largest_extent
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.patches.memory import ScanBudget
from synthtf.inference.prediction import LastPrediction, brain_box, predict
from synthtf.runs.run import Run

if TYPE_CHECKING:
    import keras

LOCATOR = "locator"
"""In `run.json`: name of a model of the package, of the task "stripping", that finds the brain."""

_MARGIN = 8.0  # mm about the brain, where the window of the training is too small for it
_NUM_OUTPUTS, _DISTANCE = 2, 0


def locator(
    run: Run,
    grid: ConformedGrid,
    data: np.ndarray,
    affine: np.ndarray,
    ct: bool,
    budget: ScanBudget,
) -> Callable[[Box], Box | None] | None:
    """Give what finds the brain for a run that names another network for it.

    Args:
        run: a training run.
        grid: of the run, for the scan.
        data: voxels of the scan.
        affine: of the scan.
        ct: whether it is in Hounsfield units.
        budget: memory.

    Returns:
        Function of the box that must not be left. It gives a box of the grid, of the size of the
        training or, where that is too small for the brain, larger; None if nothing is found. None
        for a run that searches by itself.
    """
    if LOCATOR not in run.metadata:
        return None

    def find(outer: Box) -> Box | None:
        coarse = _run(run.task_model, run.metadata[LOCATOR])
        other = ConformedGrid.of(data.shape, affine, coarse.spacing)
        found = _brain(coarse, other.conform(data), ct, budget)
        if found is None:
            return None
        window = []
        for axis, (part, limit) in enumerate(zip(found, outer, strict=True)):
            ratio = coarse.spacing[axis] / run.spacing[axis]
            # Both grids have the centre of the scan.
            middle = (part.start + part.stop - other.shape[axis]) / 2 * ratio + grid.shape[axis] / 2
            extent = (part.stop - part.start) * ratio + 2 * _MARGIN / run.spacing[axis]
            size = min(max(run.shape[axis], int(np.ceil(extent))), limit.stop - limit.start)
            start = min(max(round(middle - size / 2), limit.start), limit.stop - size)
            window.append(slice(start, start + size))
        return tuple(window)

    return find


def _brain(run: Run, image: np.ndarray, ct: bool, budget: ScanBudget) -> Box | None:
    last = LastPrediction()

    def find(normalized: np.ndarray) -> np.ndarray:
        return predict(run, normalized, _NUM_OUTPUTS, budget=budget, last=last)[..., _DISTANCE] < 0

    box = brain_box(run, image, ct, find, budget)
    found = largest_extent(find(normalize_intensity(image[box], ct=ct)))
    if found is None:
        return None
    pairs = zip(box, found, strict=True)
    return tuple(slice(a.start + b.start, a.start + b.stop) for a, b in pairs)


@kept_with_network
def _run(network: "keras.Model", name: str) -> Run:
    return Run.load(name)
