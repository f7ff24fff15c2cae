"""Images that a network makes of a scan: of higher resolution, in another contrast, corrected."""

import dataclasses
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.conform import Box, ConformedGrid
from synthtf.inference.foreground import foreground_box
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.patches.memory import SCAN_BYTES, MemoryBudget
from synthtf.inference.prediction import load_run, predict, warn_of_spacing

if TYPE_CHECKING:
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel


@dataclasses.dataclass(frozen=True, eq=False)
class Correction:
    """What `correct` returns, on the grid of the scan.

    Attributes:
        image: The scan divided by the field, float32.
        field: The field, float32; its logarithm varies about 0.
    """

    image: Volume
    field: Volume


def super_resolve(
    scan: "Volume | str | PathLike",
    model: "CombinedModel | Run | str | PathLike",
    *,
    target: str | None = None,
    flip: bool = True,
    ct: bool = False,
    budget: MemoryBudget | None = None,
) -> Volume:
    """Make the image that a network was trained to return, at the network's resolution.

    The scan is brought to RAS orientation and the network's spacing, cropped to its foreground,
    normalised between percentiles and padded.

    Args:
        scan: A volume, or its file. A 2D image counts as a slice of one voxel.
        model: A training run, its folder or name, or a model that `fit` trained. Load it once for
            several scans.
        target: Which of the images that the network returns; None for the first.
        flip: Whether to average with the prediction on the left-right mirrored scan.
        ct: Whether the scan is in Hounsfield units.
        budget: Memory that the process may take; by default it is not limited.

    Returns:
        The image, float32, on a grid of the network's spacing that covers the scan, in RAS
        orientation; 0 outside of the foreground.

    Raises:
        ValueError: If the scan or the run does not fit, the network returns no such image, or it
            does not fit the budget.
        MemoryError: If memory runs out.
        FileNotFoundError: If a file is missing.

    Warns:
        UserWarning: If the voxels have an unlikely size.

    Reference:
        Iglesias et al., SynthSR: a public AI tool to turn heterogeneous clinical brain scans into
        high-resolution T1-weighted images for 3D morphometry, Science Advances 2023.
    """
    run = load_run(model, "regression")
    name = _target(run, target, gain=False)
    channels = _channels(run, name)
    # What a distance to one side is to the other in the mirror image is not known.
    is_distance = hasattr(run.recipe[name], "regions")
    _, grid, box, predicted = predict_foreground(
        scan, run, _count(run), flip and not is_distance, ct, budget
    )
    found = predicted[..., channels]
    image = np.zeros((*grid.shape, found.shape[-1]), np.float32)
    if is_distance:
        image += run.recipe[name].limit
    image[box] = found if is_distance else np.maximum(found, 0)
    return Volume(image[..., 0] if found.shape[-1] == 1 else image, grid.affine, None, ndim=3)


def correct(
    scan: "Volume | str | PathLike",
    model: "CombinedModel | Run | str | PathLike",
    *,
    flip: bool = True,
    ct: bool = False,
    budget: MemoryBudget | None = None,
) -> Correction:
    """Remove the bias field from a scan, with a network that was trained to find it.

    Args:
        scan: A volume, or its file. A 2D image counts as a slice of one voxel.
        model: A training run, its folder or name, or a model that `fit` trained.
        flip: Whether to average with the prediction on the left-right mirrored scan.
        ct: Whether the scan is in Hounsfield units.
        budget: Memory that the process may take; by default it is not limited.

    Returns:
        The corrected scan and the field.

    Raises:
        ValueError: If the scan or the run does not fit, the network finds no field, or it does not
            fit the budget.
        MemoryError: If memory runs out.
        FileNotFoundError: If a file is missing.
    """
    run = load_run(model, "regression")
    channel = _channels(run, _target(run, None, gain=True)).start
    volume, grid, box, predicted = predict_foreground(scan, run, _count(run), flip, ct, budget)
    log_gain = np.pad(predicted[..., channel], _around(box, grid), mode="edge")
    field = np.exp(grid.restore(log_gain)).reshape(volume.data.shape)
    image = (volume.data / field).astype(np.float32)
    return Correction(*(Volume(x, volume.affine, volume.header) for x in (image, field)))


def _target(run: "Run", target: str | None, *, gain: bool) -> str:
    """Name of a target; without one, of the first that is a gain or not."""
    targets = run.recipe.targets
    fitting = [name for name in targets if hasattr(run.recipe[name], "of") == gain]
    if not fitting or (target is not None and target not in fitting):
        kind = "the gain of a step, such as a bias field" if gain else "an image"
        raise ValueError(
            f"{run.name}: expected a network that returns {kind}. Received: one that returns "
            f"{', '.join(targets)}" + ("" if target is None else f", and target={target!r}")
        )
    return target or fitting[0]


def _channels(run: "Run", target: str) -> slice:
    """Output channels of a target."""
    sizes = run.metadata["target_channels"]
    index = run.recipe.targets.index(target)
    return slice(sum(sizes[:index]), sum(sizes[: index + 1]))


def _count(run: "Run") -> int:
    """Number of all output channels."""
    return sum(run.metadata["target_channels"]) + len(run.output_labels)


def predict_foreground(
    scan: "Volume | str | PathLike",
    run: "Run",
    count: int,
    flip: bool,
    ct: bool,
    budget: MemoryBudget | None,
) -> tuple[Volume, ConformedGrid, Box, np.ndarray]:
    """Apply a network to the foreground of a scan, at the network's resolution.

    Args:
        scan: A volume of one frame, or its file.
        run: A training run.
        count: Output channels of its network.
        flip: Whether to average with the prediction on the left-right mirrored scan.
        ct: Whether the scan is in Hounsfield units.
        budget: Memory that the process may take.

    Returns:
        The scan, its grid at the network's resolution, the part of it that is foreground, and what
        the network makes of that, `(x, y, z, count)`.

    Raises:
        ValueError: If the scan has several frames, or does not fit.
    """
    volume = scan if isinstance(scan, Volume) else read_volume(scan)
    data = volume.data[..., None] if volume.data.ndim == 2 else volume.data
    if data.ndim != 3 or volume.data.ndim != volume.ndim:
        raise ValueError(f"{volume.name}: expected one frame. Received: {volume.data.shape}")
    warn_of_spacing(volume, run)
    grid = ConformedGrid.of(data.shape, volume.affine, run.spacing)
    limits = (budget or MemoryBudget()).for_scan(int(data.size * SCAN_BYTES))
    image = grid.conform(data)
    box = foreground_box(image, run.spacing)
    normalized = normalize_intensity(image[box], ct=ct)
    predicted = predict(run, normalized, count, range(count) if flip else None, limits)
    return volume, grid, box, predicted


def _around(box: Box, grid: ConformedGrid) -> list[tuple[int, int]]:
    """Voxels of the grid on both sides of a box, per axis."""
    return [(part.start, n - part.stop) for part, n in zip(box, grid.shape, strict=True)]
