"""Segmentation of a scan of any contrast, orientation and resolution."""

import dataclasses
import math
import mmap
import warnings
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.components import Cleaning, one_piece_classes
from synthtf.inference.conform import Box, ConformedGrid, Gain
from synthtf.inference.intensities import IntensityModel
from synthtf.inference.normalize import clip_to_window, normalize_intensity
from synthtf.inference.patches.memory import SCAN_BYTES, MemoryBudget, ScanBudget
from synthtf.inference.plausible import ImplausibleWarning, doubt
from synthtf.inference.prediction import brain_box, load_run, predict, warn_of_spacing
from synthtf.inference.scan_intensities import fit_intensities

if TYPE_CHECKING:
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel


_CLEANING = Cleaning()
_LEAST = 1e-6  # posteriors up to this are returned as 0
_GAIN_BYTES = 12  # per voxel of a scan, of the gain of one class and of the sum over classes
_SHARE = 1 / 3  # of the posteriors are larger at most; 1 / 10 where 7 / 10 of a scan are air


class EmptySegmentationWarning(UserWarning):
    """Every voxel of a segmentation is background."""


@dataclasses.dataclass(frozen=True, eq=False)
class Segmentation:
    """What `segment` returns.

    Attributes:
        labels: Label values, int32, with the shape and the geometry of the scan (or
            of the network's grid).
        posteriors: `(x, y, z, classes)` float32 on the same grid, in the order of
            the run's output labels, z being 1 for a 2D scan; None unless asked for. Values up to
            1e-6 are 0.
        volumes: Label value to volume in mm³, for all output labels but the
            background. They are sums of posteriors, hence finer than a count of
            voxels.
        doubt: Why the result is of no use; None if it may be.
    """

    labels: Volume
    posteriors: Volume | None
    volumes: dict[int, float]
    doubt: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every voxel is background."""
        return not np.any(self.labels.data)


def segment(
    scan: "Volume | str | PathLike",
    model: "CombinedModel | Run | str | PathLike",
    *,
    flip: bool = True,
    posteriors: bool = False,
    conformed: bool = False,
    ct: bool = False,
    refine: bool = True,
    cleaning: Cleaning | None = _CLEANING,
    budget: MemoryBudget | None = None,
) -> Segmentation:
    """Segment a scan with a trained network.

    Padding becomes background (see `IntensityRange`). The scan is brought to RAS orientation and
    the network's spacing and cropped to its foreground. Where that is larger than what the network
    was trained on, the network is first used to find the brain in it. What is left is normalised
    between percentiles and padded. The posteriors of the network are the prior of a Gaussian
    mixture of the scan's intensities, which sharpens them. They are brought back to the scan's own
    grid, with what is known of the intensities there, before the most likely label is taken.

    Args:
        scan: A volume, or its file. A 2D image counts as a slice of one voxel.
        model: A training run, its folder or name, or a model that `fit` trained. Load it once for
            several scans. It may return images as well (regression with `segment`).
        flip: Whether to average with the prediction on the left-right mirrored scan. Not done
            for a network with labels of one side alone.
        posteriors: Whether to return posteriors as well.
        conformed: Whether to return results on the network's grid in RAS
            orientation instead of the scan's.
        ct: Whether the scan is in Hounsfield units.
        refine: Whether to sharpen the posteriors by the intensities, see `IntensityModel`.
        cleaning: What is removed: pieces apart from the largest of what is one piece in every
            brain; None for nothing.
        budget: Memory that the process may take; by default it is not limited. Patches give the
            labels of the whole scan.

    Returns:
        Labels, posteriors and volumes.

    Raises:
        ValueError: If the scan or the run does not fit: several frames, a run of
            another task or of two dimensions, a network whose outputs are not the
            run's labels; or if it does not fit the budget.
        MemoryError: If memory runs out.
        FileNotFoundError: If a file is missing.

    Warns:
        UserWarning: If the voxels have an unlikely size, or odd intensities (see
            `fit_intensities`), or the result is of no use.

    Reference:
        Steps and defaults of SynthSeg (Billot et al., Medical Image Analysis, 2023); Van Leemput
        et al., IEEE TMI 1999, for the mixture.
    """
    run = load_run(model, "segmentation")
    volume = scan if isinstance(scan, Volume) else read_volume(scan)
    data = volume.data[..., None] if volume.data.ndim == 2 else volume.data
    if data.ndim != 3 or volume.data.ndim != volume.ndim:
        raise ValueError(f"{volume.name}: expected one frame. Received: {volume.data.shape}")
    warn_of_spacing(volume, run)
    data = fit_intensities(data, volume.name, ct)
    grid = ConformedGrid.of(data.shape, volume.affine, run.spacing)
    scan_bytes = SCAN_BYTES
    if posteriors:
        scan_bytes += _SHARE * 4 * len(run.output_labels) + _GAIN_BYTES * refine
    limits = (budget or MemoryBudget()).for_scan(int(data.size * scan_bytes))
    image = grid.conform(data)
    box = _brain_box(run, image, ct, limits)
    flip = flip and not run.table.one_sided
    mirrored = _mirrored_channels(run.output_labels, run.output_pairs) if flip else None
    normalized = normalize_intensity(image[box], ct=ct)
    predicted = predict(run, normalized, len(run.output_labels), mirrored, limits)
    gain = _sharpen(run, grid, data, image, box, predicted, ct) if refine else None
    if cleaning is not None:
        classes = one_piece_classes(run.table, run.output_labels)
        cleaning.apply(predicted, classes, abs(np.linalg.det(grid.affine[:3, :3])))

    target = grid.untouched if conformed else grid
    gain = None if conformed else gain
    geometry = (grid.affine, None) if conformed else (volume.affine, volume.header)
    labels = target.restore_labels(predicted, run.output_labels, box, gain)
    result = Segmentation(
        labels=Volume(labels if conformed else labels.reshape(volume.data.shape), *geometry),
        posteriors=Volume(_restore_all(target, predicted, box, gain), *geometry, ndim=3)
        if posteriors
        else None,
        volumes=_volumes(predicted, grid.affine, run.output_labels),
    )
    reason = _doubt(run, grid, image, box, predicted, result)
    if reason is not None:
        kind = EmptySegmentationWarning if result.is_empty else ImplausibleWarning
        warnings.warn(f"{volume.name}: {reason}", kind, stacklevel=2)
    return dataclasses.replace(result, doubt=reason)


def _doubt(
    run: "Run",
    grid: ConformedGrid,
    image: np.ndarray,
    box: Box,
    posteriors: np.ndarray,
    result: Segmentation,
) -> str | None:
    """Why a segmentation is of no use, if it is not."""
    if result.is_empty:
        return (
            "nothing was found, every voxel is background; check the orientation of the scan and "
            "that the model suits it"
        )
    if image.min() == image.max():
        return f"the image is constant, every voxel is {image.max():g}"
    inside = np.zeros(grid.shape, bool)
    inside[box] = _brain(run, posteriors)
    reason = doubt(inside, run.spacing, run)
    return None if reason is None else f"what was found cannot be a brain: {reason}"


def _brain(run: "Run", posteriors: np.ndarray) -> np.ndarray:
    """Where the brain is more likely than not."""
    brain = run.table.brain_outputs
    channels = [i for i, value in enumerate(run.output_labels) if i and value in brain]
    return posteriors[..., channels].sum(axis=-1) > 0.5


def _brain_box(run: "Run", image: np.ndarray, ct: bool, budget: ScanBudget) -> Box:
    """Part of a conformed scan to segment: the brain, or the foreground where that is small."""

    def find(normalized: np.ndarray) -> np.ndarray:
        return _brain(run, predict(run, normalized, len(run.output_labels), budget=budget))

    return brain_box(run, image, ct, find, budget)


def _sharpen(
    run: "Run",
    grid: ConformedGrid,
    data: np.ndarray,
    image: np.ndarray,
    box: Box,
    posteriors: np.ndarray,
    ct: bool,
) -> Gain | None:
    """Sharpen posteriors by intensities, in place; returns what the scan's own grid adds."""
    channel = run.output_labels.index
    pairs = [(channel(left), channel(right)) for left, right in run.output_pairs]
    smooth = clip_to_window(image[box]) if ct else image[box]
    model = IntensityModel.fit(smooth, posteriors, pairs, run.spacing)
    if model is None:
        return None
    model.sharpen(smooth, posteriors)
    if all(ratio == 1 for ratio in grid.ratios):
        return None
    fine = grid.covered(data, box).astype(np.float32, copy=False)
    fine = clip_to_window(fine) if ct else fine
    known, bias = (grid.restore_covered(np.ascontiguousarray(x), box) for x in (smooth, model.bias))
    return lambda index, part: model.gain(index, fine[part], known[part], bias[part])


def _mirrored_channels(labels: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Channel that shows in the mirror image what each channel shows in the image."""
    channel = {int(value): index for index, value in enumerate(labels)}
    swapped = list(range(len(labels)))
    for left, right in pairs:
        swapped[channel[left]], swapped[channel[right]] = channel[right], channel[left]
    return swapped


def _volumes(posteriors: np.ndarray, affine: np.ndarray, labels: Sequence[int]) -> dict[int, float]:
    """Volume of each label but the first, in mm³."""
    voxel = abs(np.linalg.det(affine[:3, :3]))
    sums = posteriors.sum(axis=(0, 1, 2), dtype=np.float64) * voxel
    return {int(v): float(total) for v, total in zip(labels[1:], sums[1:], strict=True)}


def _restore_all(
    grid: ConformedGrid, posteriors: np.ndarray, box: Box, gain: Gain | None
) -> np.ndarray:
    # Most structures are small, and pages that nothing is written to take no memory; NumPy's own
    # zeros come in pages of 2 MB.
    shape = (posteriors.shape[-1], *grid.scan_shape)
    pages = mmap.mmap(-1, 4 * math.prod(shape), access=mmap.ACCESS_COPY)
    result = np.frombuffer(pages, np.float32).reshape(shape)
    total = np.zeros(grid.scan_shape, np.float32) if gain is not None else None
    for index, frame in enumerate(result):
        factors = None if gain is None else gain(index, (slice(None),) * 3)
        channel = grid.restore(posteriors[..., index], box, float(index == 0), factors)
        np.copyto(frame, channel, where=channel > _LEAST)
        if total is not None:
            total += channel
    for frame in result if total is not None else ():
        np.divide(frame, total, out=frame, where=frame > 0)
    return np.moveaxis(result, 0, -1)
