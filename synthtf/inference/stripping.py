"""Skull-stripping of a scan of any contrast, orientation and resolution."""

import dataclasses
import warnings
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.components import largest_filled
from synthtf.inference.conform import ConformedGrid
from synthtf.inference.defaults import BORDER
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.patches.memory import SCAN_BYTES, MemoryBudget, ScanBudget
from synthtf.inference.plausible import ImplausibleWarning, UselessWarning, doubt
from synthtf.inference.prediction import (
    LastPrediction,
    brain_box,
    load_run,
    predict,
    warn_of_spacing,
)
from synthtf.inference.scan_intensities import fit_intensities

if TYPE_CHECKING:
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel

_BORDERS = {True: 0, False: 1}  # channel of the network, with and without CSF


class EmptyMaskWarning(UselessWarning):
    """No voxel of a scan belongs to the brain."""


@dataclasses.dataclass(frozen=True, eq=False)
class Stripping:
    """What `strip` returns, all on the grid and with the frames of the scan.

    Attributes:
        image: The scan; outside of the mask 0, its lowest value but for padding where that is
            negative, or what was asked for.
        mask: Brain as 1, uint8.
        distance: Signed distance to the border of the brain in mm, float32, negative within;
            truncated at what the network was trained on.
        doubt: Why the result is of no use; None if it may be.
    """

    image: Volume
    mask: Volume
    distance: Volume
    doubt: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether some frame has no brain."""
        masks = self.mask.data.reshape(*self.mask.data.shape[: self.mask.ndim], -1)
        return not masks.any(axis=tuple(range(self.mask.ndim))).all()


def strip(
    scan: "Volume | str | PathLike",
    model: "CombinedModel | Run | str | PathLike",
    *,
    border: float = BORDER,
    csf: bool = True,
    flip: bool = True,
    ct: bool = False,
    fill: float | None = None,
    budget: MemoryBudget | None = None,
) -> Stripping:
    """Remove from a scan what is not brain, with a trained network.

    Padding becomes background (see `IntensityRange`). The scan is brought to RAS orientation and
    the network's spacing and cropped to its foreground, in which the brain is found first where
    that is larger than what the network was trained on. The distances that the network predicts
    are brought back to the scan's own grid. The mask is where they are below the border; its
    largest component is kept and its holes filled. Each frame is stripped by itself.

    Args:
        scan: A volume, or its file; of one frame or several. A 2D image counts as a slice of one
            voxel.
        model: A training run, its folder or name, or a model that `fit` trained. Load it once for
            several scans.
        border: Distance of the edge of the mask from the brain in mm; below 0 it is cut off.
        csf: Whether sulci and fissures belong to the brain; if not, its tissue and ventricles.
        flip: Whether to average with the prediction on the left-right mirrored scan.
        ct: Whether the scan is in Hounsfield units.
        fill: Value outside of the mask. None: 0, or the lowest value of the scan below it.
        budget: Memory that the process may take; by default it is not limited. Patches give the
            distances of the whole scan.

    Returns:
        The stripped scan, mask and distances.

    Raises:
        ValueError: If the scan or the run does not fit, the network knows no such border, or it
            does not fit the budget.
        MemoryError: If memory runs out.
        FileNotFoundError: If a file is missing.

    Warns:
        UserWarning: If the voxels have an unlikely size, or odd intensities (see
            `fit_intensities`), or the result is of no use.

    Reference:
        Hoopes et al., SynthStrip: skull-stripping for any brain image, NeuroImage 2022.
    """
    run = load_run(model, "stripping")
    limit = run.positive("limit")
    if not abs(border) < limit:
        raise ValueError(
            f"`border` must be within the {limit:g} mm that the network knows. Received: {border:g}"
        )
    volume = scan if isinstance(scan, Volume) else read_volume(scan, frames=True)
    warn_of_spacing(volume, run)
    limits = (budget or MemoryBudget()).for_scan(volume.data.size * SCAN_BYTES)
    frames = volume.data.reshape((*(*volume.shape, 1)[:3], -1))
    fit = fit_intensities(frames, volume.name, ct)
    masks, distances = np.empty(frames.shape, np.uint8), np.empty(frames.shape, np.float32)
    for index in range(frames.shape[-1]):
        distance = _distance(run, volume, fit[..., index], limit, csf, flip, ct, limits)
        distances[..., index] = distance
        masks[..., index] = largest_filled(distance < border)
    background = min(0, fit.min()) if fill is None else fill
    stripped = np.where(masks, frames, np.array(background, frames.dtype))
    image, mask, distance = (
        Volume(data.reshape(volume.data.shape), volume.affine, volume.header, ndim=volume.ndim)
        for data in (stripped, masks, distances)
    )
    result = Stripping(image, mask, distance)
    reason = _doubt(run, volume, result)
    if reason is not None:
        kind = EmptyMaskWarning if result.is_empty else ImplausibleWarning
        warnings.warn(f"{volume.name}: {reason}", kind, stacklevel=2)
    return dataclasses.replace(result, doubt=reason)


def _doubt(run: "Run", volume: Volume, result: Stripping) -> str | None:
    """Why a mask is of no use, if it is not."""
    if result.is_empty:
        return "no brain was found; check the orientation of the scan and that the model suits it"
    if volume.data.min() == volume.data.max():
        return f"the image is constant, every voxel is {volume.data.max():g}"
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    masks = result.mask.data.reshape((*(*volume.shape, 1)[:3], -1))
    for index in range(masks.shape[-1]):
        reason = doubt(masks[..., index] > 0, spacing, run)
        if reason is not None:
            return f"the mask cannot be a brain: {reason}"
    return None


def _distance(
    run: "Run",
    volume: Volume,
    frame: np.ndarray,
    limit: float,
    csf: bool,
    flip: bool,
    ct: bool,
    budget: ScanBudget,
) -> np.ndarray:
    """Distance in mm on the grid of the frame."""
    num_outputs = len(_BORDERS)
    grid = ConformedGrid.of(frame.shape, volume.affine, run.spacing)
    image = grid.conform(frame)
    last = LastPrediction()

    def find(normalized: np.ndarray) -> np.ndarray:
        found = predict(run, normalized, num_outputs, budget=budget, last=last)
        return found[..., _BORDERS[True]] < 0

    box = brain_box(run, image, ct, find, budget)
    channels = range(num_outputs) if flip else None
    normalized = normalize_intensity(image[box], ct=ct)
    predicted = predict(run, normalized, num_outputs, channels, budget, last=last)
    predicted = np.clip(predicted[..., _BORDERS[csf]], -limit, limit)
    return grid.restore(predicted, box, outside=limit)
