"""Features of the voxels of a scan, which do not depend on its contrast."""

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.volumes import Volume
from synthtf.inference.imaging import predict_foreground
from synthtf.inference.patches.memory import MemoryBudget
from synthtf.inference.prediction import load_run

if TYPE_CHECKING:
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel


def extract_features(
    scan: "Volume | str | PathLike",
    model: "CombinedModel | Run | str | PathLike",
    *,
    ct: bool = False,
    budget: MemoryBudget | None = None,
) -> Volume:
    """Give each voxel of a scan its features, at the network's resolution.

    The scan is brought to RAS orientation and the network's spacing, cropped to its foreground,
    normalised between percentiles and padded. Scans on one grid get features on one grid.

    Args:
        scan: A volume, or its file. A 2D image counts as a slice of one voxel.
        model: A training run of the task contrastive, its folder or name, or a model that `fit`
            trained. Load it once for several scans.
        ct: Whether the scan is in Hounsfield units.
        budget: Memory that the process may take; by default it is not limited.

    Returns:
        The features as frames, float32, of length 1, on a grid of the network's spacing that covers
        the scan, in RAS orientation; 0 outside of the foreground.

    Raises:
        ValueError: If the scan or the run does not fit, or it does not fit the budget.
        MemoryError: If memory runs out.
        FileNotFoundError: If a file is missing.

    Warns:
        UserWarning: If the voxels have an unlikely size.

    Reference:
        Dey et al., Learning general-purpose biomedical volume representations using randomized
        synthesis, ICLR 2025.
    """
    run = load_run(model, "contrastive")
    count = run.task_model.output.shape[-1]
    # The two sides have different features: no average with the mirror image.
    _, grid, box, predicted = predict_foreground(scan, run, count, False, ct, budget)
    found = np.zeros((*grid.shape, count), np.float32)
    found[box] = predicted
    return Volume(found, grid.affine, None, ndim=3)
