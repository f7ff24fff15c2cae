"""Scans without their lesions: what lies in a mask is replaced by what the surroundings suggest."""

from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt

from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.conform import Box, ConformedGrid
from synthtf.inference.defaults import MARGIN
from synthtf.inference.foreground import foreground_box
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.patches.memory import SCAN_BYTES, MemoryBudget
from synthtf.inference.prediction import load_run, predict, warn_of_spacing

if TYPE_CHECKING:
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel

_LEAST = 1e-3  # of a mask that is resampled: more than rounding
_EDGE = 0.02  # of the range of intensities: what is closer to its ends may have been clipped


def inpaint(
    scan: "Volume | str | PathLike",
    mask: "Volume | str | PathLike",
    model: "CombinedModel | Run | str | PathLike",
    *,
    margin: float = MARGIN,
    flip: bool = True,
    ct: bool = False,
    budget: MemoryBudget | None = None,
) -> Volume:
    """Fill a part of a scan with healthy anatomy, with a network that was trained to.

    The network does not see what lies in the mask, and a margin around it, in which lesions
    shine through. The rest of the scan stays as it is.

    Args:
        scan: A volume, or its file. A 2D image counts as a slice of one voxel.
        mask: Likewise, on the grid of the scan: not 0 in what is to be filled.
        model: A run of the task "regression" whose recipe has the step RandomHoles, its folder or
            name, or a model that `fit` trained.
        margin: What the network does not see around the mask, in mm.
        flip: Whether to average with the prediction on the left-right mirrored scan.
        ct: Whether the scan is in Hounsfield units.
        budget: Memory that the process may take; by default it is not limited.

    Returns:
        The scan, float32, with other intensities in the mask.

    Raises:
        ValueError: If scan, mask or run do not fit, the mask covers all, or the network does not
            fit the budget.
        MemoryError: If memory runs out.
        FileNotFoundError: If a file is missing.

    Warns:
        UserWarning: If the voxels have an unlikely size.
    """
    run, channel = _check_run(load_run(model, "regression"))
    if not 0 <= margin < np.inf:
        raise ValueError(f"`margin` must be at least 0 mm. Received: margin={margin:g}")
    volume = scan if isinstance(scan, Volume) else read_volume(scan)
    wanted = mask if isinstance(mask, Volume) else read_volume(mask, labels=True)
    _check_mask(volume, wanted)
    warn_of_spacing(volume, run)
    data, inside = (np.atleast_3d(x.data) for x in (volume, wanted))
    inside = inside != 0
    if not inside.any():
        return Volume(volume.data.astype(np.float32), volume.affine, volume.header)
    sizes = np.linalg.norm(volume.affine[:3, :3], axis=0)
    hidden = distance_transform_edt(~inside, sampling=sizes) <= margin + 1e-6
    grid = ConformedGrid.of(data.shape, volume.affine, run.spacing)
    limits = (budget or MemoryBudget()).for_scan(int(2 * data.size * SCAN_BYTES))
    image, hole = grid.conform(data), grid.conform(hidden.astype(np.float32)) > _LEAST
    box = _around(foreground_box(image, run.spacing), hole)
    image, hole = image[box], hole[box]
    if hole.all():
        raise ValueError(
            f"{wanted.name}: covers all of {volume.name}, nothing is left to learn from"
        )
    normalized = normalize_intensity(image, ct=ct)
    scale, shift = _back(normalized, image, ~hole)
    pair = np.stack([np.where(hole, 0, normalized), hole], axis=-1).astype(np.float32)
    count = sum(run.metadata["target_channels"]) + len(run.output_labels)
    found = predict(run, pair, count, range(count) if flip else None, limits)[..., channel]
    filled = grid.restore(np.clip(found, 0, 1) * scale + shift, box)
    result = np.where(inside, filled, data).astype(np.float32)
    return Volume(result.reshape(volume.data.shape), volume.affine, volume.header)


def _check_run(run: "Run") -> "tuple[Run, int]":
    """Give a run that fills holes, and its output channel that does."""
    cuts = any(hasattr(step, "num_holes") for step in run.recipe)
    images = [
        name
        for name, size in zip(run.recipe.targets, run.metadata["target_channels"], strict=True)
        if size == 1 and not hasattr(run.recipe[name], "of")
    ]
    if not cuts or not images:
        raise ValueError(
            f"{run.name}: expected a network that fills holes, whose recipe has the steps "
            f"KeepImage and RandomHoles. Received: one with the steps {', '.join(run.recipe.names)}"
        )
    index = run.recipe.targets.index(images[0])
    return run, sum(run.metadata["target_channels"][:index])


def _check_mask(scan: Volume, mask: Volume) -> None:
    for volume in (scan, mask):
        if volume.data.ndim != volume.ndim:
            raise ValueError(f"{volume.name}: expected one frame. Received: {volume.data.shape}")
    if scan.data.shape != mask.data.shape or not np.allclose(scan.affine, mask.affine, atol=1e-2):
        raise ValueError(
            f"{mask.name}: must have the grid of {scan.name}, {scan.data.shape}; move it there by "
            f"`synthtf apply`. Received: {mask.data.shape}, or another position"
        )


def _around(box: Box, hole: np.ndarray) -> Box:
    """Enlarge a box to hold the holes."""
    spans = []
    for axis, part in enumerate(box):
        found = np.flatnonzero(hole.any(tuple(other for other in range(3) if other != axis)))
        spans.append(slice(min(part.start, found[0]), max(part.stop, found[-1] + 1)))
    return tuple(spans)


def _back(normalized: np.ndarray, image: np.ndarray, known: np.ndarray) -> tuple[float, float]:
    """Scale and shift from normalised intensities to those of the scan."""
    known = known & (normalized > _EDGE) & (normalized < 1 - _EDGE)
    x, y = normalized[known].astype(float), image[known].astype(float)
    if x.size < 2 or x.max() == x.min():
        return 0.0, float(np.median(image))
    scale, shift = np.polyfit(x, y, 1)
    return float(scale), float(shift)
