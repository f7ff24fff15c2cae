"""From a scan to objects of one kind that are told apart, such as cells."""

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, special

from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.conform import ConformedGrid
from synthtf.inference.defaults import OBJECT_OVERLAP, OBJECT_PROBABILITY
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.patches.memory import SCAN_BYTES, MemoryBudget
from synthtf.inference.prediction import load_run, predict
from synthtf.inference.stars import draw, suppress

if TYPE_CHECKING:
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel

_LEAST = 1e-3  # of a voxel: a distance along a ray must be positive


def find_instances(
    scan: "Volume | str | PathLike",
    model: "CombinedModel | Run | str | PathLike",
    *,
    threshold: float = OBJECT_PROBABILITY,
    overlap: float = OBJECT_OVERLAP,
    budget: MemoryBudget | None = None,
) -> Volume:
    """Tell the objects in a scan apart with a network of star-convex distances.

    Each local maximum of the object probability proposes an object. Of those that overlap, the
    most probable one stays. What stays is drawn on the grid of the scan.

    Args:
        scan: A volume, or its file. A 2D image needs a network of two dimensions, whose voxel size
            its own is brought to; it is not turned.
        model: A training run of the task instances, its folder or name, or a model that `fit`
            trained.
        threshold: Object probability above which a maximum proposes an object, in [0, 1].
        overlap: Share of the smaller of two objects above which the less probable one is dropped,
            in [0, 1].
        budget: Memory that the process may take; by default it is not limited.

    Returns:
        Label map, int32, on the grid of the scan: 0 where there is no object, 1 the most probable
        one, and so on.

    Raises:
        ValueError: If the scan or the run does not fit, an option is out of range, the network
            does not fit the budget, or the package stardist is missing.
        MemoryError: If memory runs out.
        FileNotFoundError: If a file is missing.

    Reference:
        Schmidt et al., Cell detection with star-convex polygons, MICCAI 2018; Weigert et al.,
        WACV 2020, whose package `stardist` drops and draws the objects. There, each voxel proposes
        an object, which takes far longer in 3D.
    """
    check_shares(threshold=threshold, overlap=overlap)
    run = load_run(model, "instances", dimensions=(2, 3))
    volume = scan if isinstance(scan, Volume) else read_volume(scan)
    ndim = len(run.spacing)
    if volume.data.ndim != ndim or volume.ndim != ndim:
        raise ValueError(
            f"{volume.name}: {run.name} needs an image of {ndim} dimensions. "
            f"Received: an image of shape {volume.data.shape}"
        )
    grid = _grid(volume, run)
    limits = (budget or MemoryBudget()).for_scan(int(volume.data.size * SCAN_BYTES))
    image = grid.conform(volume.data.reshape(grid.scan_shape)).reshape(grid.shape[:ndim])
    predicted = predict(run, normalize_intensity(image), 1 + run.metadata["rays"], None, limits)
    probability = special.expit(predicted[..., 0])
    largest = ndimage.maximum_filter(probability, 3) == probability
    proposed = np.nonzero(largest & (probability > threshold))
    points, scores = np.stack(proposed, axis=-1), probability[proposed]
    distances = np.maximum(predicted[..., 1:][proposed], _LEAST * min(run.spacing))
    order = np.argsort(-scores, kind="stable")
    points, scores, distances = points[order], scores[order], distances[order]
    kept = suppress(points, distances, scores, overlap, run.spacing)
    to_scan = np.linalg.inv(_affine(volume)) @ grid.affine
    drawn = draw(points[kept], distances[kept], run.spacing, to_scan, volume.shape)
    return Volume(drawn, volume.affine, volume.header, None, ndim)


def check_shares(**shares: float) -> None:
    """Refuse options of `find_instances` that are out of range.

    Raises:
        ValueError: If one is below 0 or above 1.
    """
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ValueError(f"`{name}` must lie in [0, 1]. Received: {name}={value!r}")


def _affine(volume: Volume) -> np.ndarray:
    """Give the affine of a scan; a 2D image counts as it lies."""
    return volume.affine if volume.ndim == 3 else np.diag([*volume.spacing, 1.0, 1.0])


def _grid(volume: Volume, run: "Run") -> ConformedGrid:
    """Give the grid of the network's voxel size; a 2D image is a slice."""
    shape, spacing = ((*x, 1)[:3] for x in (volume.shape, run.spacing))
    return ConformedGrid.of(shape, _affine(volume), spacing)
