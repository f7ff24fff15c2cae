"""Segmentation of a scan of any contrast, orientation and resolution."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.absent import absent
from synthtf.inference.bias_field import BiasField
from synthtf.inference.caution import CautionWarning, doubtful_parts, unlike_training
from synthtf.inference.components import Cleaning, one_piece_classes
from synthtf.inference.conform import Box, ConformedGrid, Gain
from synthtf.inference.intensities import IntensityModel
from synthtf.inference.lesions import check_lesions, count_lesions, lesion_labels
from synthtf.inference.locator import locator
from synthtf.inference.normalize import clip_to_window, normalize_intensity
from synthtf.inference.patches.memory import SCAN_BYTES, MemoryBudget, ScanBudget
from synthtf.inference.plausible import ImplausibleWarning, UselessWarning, doubt, sees_heads
from synthtf.inference.posterior_maps import entropy, restore_all, restore_sum
from synthtf.inference.prediction import (
    LastPrediction,
    brain_box,
    load_run,
    predict,
    warn_of_spacing,
)
from synthtf.inference.scan_intensities import fit_intensities
from synthtf.inference.uncertainty import Spread, volume_intervals

if TYPE_CHECKING:
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel


_CLEANING = Cleaning()
_GAIN_BYTES = 12  # per voxel of a scan, of the gain of one class and of the sum over classes
_MAP_BYTES = 16  # per voxel of a scan, of the maps of uncertainty and lesions and of their sums
_SHARE = 1 / 3  # of the posteriors are larger at most; 1 / 10 where 7 / 10 of a scan are air


class EmptySegmentationWarning(UselessWarning):
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
        intracranial: Volume of all within the skull in mm³: of the output labels that the label
            table has as brain, or as CSF around it. None where no output label is that CSF.
        lesions: Posterior of the lesions, `(x, y, z)` float32 on the same grid; None unless asked
            for.
        num_lesions: Pieces of `labels` that are lesions; None where no output label is a lesion.
        uncertainty: `(x, y, z, 2)` float32 on the same grid: the `entropy` of the posteriors, and
            the variance of the predictions on the scan and its mirror image, and of several
            networks, as `Spread` has it; `(x, y, z)` where there is one prediction. None unless
            asked for.
        intervals: Label value to an interval about its volume, see `volume_intervals`; None unless
            the uncertainty was asked for.
        doubt: Why the result is of no use; None if it may be.
        cautions: What deserves a look: how unsure the network is, and volumes unlike those of the
            label maps that it was trained on. Empty if all is well.
    """

    labels: Volume
    posteriors: Volume | None
    volumes: dict[int, float]
    intracranial: float | None = None
    lesions: Volume | None = None
    num_lesions: int | None = None
    uncertainty: Volume | None = None
    intervals: dict[int, tuple[float, float]] | None = None
    doubt: str | None = None
    cautions: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether every voxel is background."""
        return not np.any(self.labels.data)


def segment(
    scan: "Volume | str | PathLike",
    model: "CombinedModel | Run | str | PathLike | Sequence",
    *,
    flip: bool = True,
    posteriors: bool = False,
    uncertainty: bool = False,
    lesions: bool = False,
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
    grid, with what is known of the intensities there, before the most likely label is taken. Where
    a mask or defacing has cut away the scan, nothing is found.

    Args:
        scan: A volume, or its file. A 2D image counts as a slice of one voxel.
        model: A training run, its folder or name, or a model that `fit` trained. Load it once for
            several scans. It may return images as well (regression with `segment`). A list of
            them: an ensemble, whose posteriors are averaged.
        flip: Whether to average with the prediction on the left-right mirrored scan. Not done
            for a network with labels of one side alone.
        posteriors: Whether to return posteriors as well.
        uncertainty: Whether to return maps of how sure the network is, and intervals of the
            volumes.
        lesions: Whether to return the posterior of the lesions, of a network that knows them.
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
            run's labels, or have no lesion where `lesions` are asked for; or if it does not fit
            the budget.
        MemoryError: If memory runs out.
        FileNotFoundError: If a file is missing.

    Warns:
        UserWarning: If the voxels have an unlikely size, or odd intensities (see
            `fit_intensities`), or the result is of no use.

    Reference:
        Steps and defaults of SynthSeg (Billot et al., Medical Image Analysis, 2023); Van Leemput
        et al., IEEE TMI 1999, for the mixture.
    """
    runs = _load_runs(model)
    run = runs[0]
    lesion = check_lesions(run) if lesions else lesion_labels(run)
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
    scan_bytes += _MAP_BYTES * (uncertainty + lesions)
    limits = (budget or MemoryBudget()).for_scan(int(data.size * scan_bytes))
    image = grid.conform(data)
    last = LastPrediction()
    search = locator(run, grid, data, volume.affine, ct, limits)
    box = _brain_box(run, image, ct, limits, last, search)
    flip = flip and not run.table.one_sided
    mirrored = mirrored_channels(run.output_labels, run.output_pairs) if flip else None
    normalized = normalize_intensity(image[box], ct=ct)
    judged = sees_heads(run)
    spread = Spread() if (uncertainty or judged) and (flip or len(runs) > 1) else None
    predicted = _predict(runs, normalized, mirrored, limits, spread, last)
    cautions = doubtful_parts(predicted, _brain(run, predicted), spread) if judged else []
    gain = _sharpen(run, grid, data, image, box, predicted, ct) if refine else None
    if cleaning is not None:
        classes = one_piece_classes(run.table, run.output_labels)
        cleaning.apply(predicted, classes, abs(np.linalg.det(grid.affine[:3, :3])))

    measured = volume.data.reshape(data.shape)
    gone = absent(measured, np.linalg.norm(volume.affine[:3, :3], axis=0))
    if gone is not None:
        _remove(predicted, grid.conform(gone.astype(np.float32))[box])
    target = grid.untouched if conformed else grid
    gain = None if conformed else gain
    geometry = (grid.affine, None) if conformed else (volume.affine, volume.header)
    restored = (target, predicted, box, gain)
    labels = target.restore_labels(predicted, run.output_labels, box, gain)
    if gone is not None and not conformed:
        labels[gone] = run.output_labels[0]
    maps = []
    if uncertainty:
        maps.append(entropy(*restored))
    if uncertainty and spread is not None:
        maps.append(target.restore(spread.variance, box))
    channels = [run.output_labels.index(value) for value in lesion]
    shape = labels.shape if conformed else volume.data.shape
    voxel = abs(np.linalg.det(grid.affine[:3, :3]))
    volumes = _volumes(predicted, voxel, run.output_labels)
    result = Segmentation(
        labels=Volume(labels.reshape(shape), *geometry),
        posteriors=Volume(restore_all(*restored), *geometry, ndim=3) if posteriors else None,
        volumes=volumes,
        intracranial=_intracranial(run, volumes),
        lesions=Volume(restore_sum(*restored, channels).reshape(shape), *geometry)
        if lesions
        else None,
        num_lesions=count_lesions(labels, lesion) if lesion else None,
        uncertainty=_frames(maps, geometry) if uncertainty else None,
        intervals=dict(
            zip(run.output_labels, volume_intervals(predicted, spread, voxel), strict=True)
        )
        if uncertainty
        else None,
    )
    reason = _doubt(run, grid, image, box, predicted, result)
    if reason is not None:
        kind = EmptySegmentationWarning if result.is_empty else ImplausibleWarning
        warnings.warn(f"{volume.name}: {reason}", kind, stacklevel=2)
        return dataclasses.replace(result, doubt=reason)
    cautions += unlike_training(run, volumes) if judged else []
    if cautions:
        warnings.warn(f"{volume.name}: {'; '.join(cautions)}", CautionWarning, stacklevel=2)
    return dataclasses.replace(result, cautions=tuple(cautions))


def _load_runs(models: Any) -> "list[Run]":
    """Give the runs of a model, or of the members of an ensemble.

    Raises:
        ValueError: If these have other labels, or work at another voxel size.
    """
    listed = list(models) if isinstance(models, list | tuple) else [models]
    runs = [load_run(model, "segmentation") for model in listed]
    for other in runs[1:]:
        for name in ("output_labels", "output_pairs", "spacing"):
            if getattr(other, name) != getattr(runs[0], name):
                raise ValueError(
                    f"`model` must be runs of the same {name}: that of {runs[0].name} is "
                    f"{getattr(runs[0], name)}. Received: {getattr(other, name)} of {other.name}"
                )
    return runs


def _predict(
    runs: "Sequence[Run]",
    image: np.ndarray,
    mirrored: Sequence[int] | None,
    budget: ScanBudget,
    spread: Spread | None,
    last: LastPrediction,
) -> np.ndarray:
    """Average the predictions of the networks."""
    count = len(runs[0].output_labels)
    if len(runs) == 1:
        return predict(runs[0], image, count, mirrored, budget, spread, last)
    total: Any = 0.0
    for index, run in enumerate(runs):
        own = None if spread is None else Spread()
        # The first has looked for the brain.
        known = None if index else last
        found = predict(run, image, count, mirrored, budget, own, known)
        if spread is not None:
            spread.see_member(found, own)
        total += found
    total /= len(runs)
    if spread is not None:
        spread.join(total)
    return total


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
    labels = list(enumerate(run.output_labels))
    brain = [i for i, value in labels if i and value in run.table.brain_outputs]
    rest = [i for i, _ in labels if i not in brain]
    # Posteriors sum to one: the fewer channels tell it as well.
    if len(rest) < len(brain):
        return posteriors[..., rest].sum(axis=-1) < 0.5
    return posteriors[..., brain].sum(axis=-1) > 0.5


def _brain_box(
    run: "Run",
    image: np.ndarray,
    ct: bool,
    budget: ScanBudget,
    last: LastPrediction,
    search: Callable[[Box], Box | None] | None,
) -> Box:
    """Part of a conformed scan to segment: the brain, or the foreground where that is small."""

    def find(normalized: np.ndarray) -> np.ndarray:
        num_outputs = len(run.output_labels)
        return _brain(run, predict(run, normalized, num_outputs, budget=budget, last=last))

    return brain_box(run, image, ct, find, budget, search)


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
    factors = None
    if ct:
        smooth = clip_to_window(image[box])
    else:
        field = BiasField.find(image, run.spacing)
        factors = field.factors(image.shape, box)
        smooth = (image[box] - field.low) * factors
    model = IntensityModel.fit(smooth, posteriors, pairs, run.spacing)
    if model is None:
        return None
    model.sharpen(smooth, posteriors)
    if all(ratio == 1 for ratio in grid.ratios):
        return None
    fine = grid.covered(data, box).astype(np.float32, copy=False)
    fine = clip_to_window(fine) if ct else (fine - field.low) * grid.restore_covered(factors, box)
    known, bias = (grid.restore_covered(np.ascontiguousarray(x), box) for x in (smooth, model.bias))
    return lambda index, part: model.gain(index, fine[part], known[part], bias[part])


def mirrored_channels(labels: Sequence[int], pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Channel that shows in the mirror image what each channel shows in the image."""
    channel = {int(value): index for index, value in enumerate(labels)}
    swapped = list(range(len(labels)))
    for left, right in pairs:
        swapped[channel[left]], swapped[channel[right]] = channel[right], channel[left]
    return swapped


def _remove(posteriors: np.ndarray, share: np.ndarray) -> None:
    """Make a share of each voxel background, in place."""
    touched = (share > 0) & (posteriors[..., 0] < 1)
    chosen = posteriors[touched] * (1 - share[touched, None])
    chosen[:, 0] += share[touched]
    posteriors[touched] = chosen


def _frames(maps: Sequence[np.ndarray], geometry: tuple) -> Volume:
    """Maps as the frames of one volume, or one map as it is."""
    data = maps[0] if len(maps) == 1 else np.stack(maps, axis=-1)
    return Volume(data, *geometry, ndim=3)


def _intracranial(run: "Run", volumes: dict[int, float]) -> float | None:
    """Volume of what lies within the skull, if the network knows where it ends."""
    csf = {run.table.mapping[value] for value in run.table.csf_labels} & volumes.keys()
    if not csf:
        return None
    return sum(volumes[value] for value in csf.union(run.table.brain_outputs) & volumes.keys())


def _volumes(posteriors: np.ndarray, voxel: float, labels: Sequence[int]) -> dict[int, float]:
    """Volume of each label but the first, in mm³."""
    sums = posteriors.sum(axis=(0, 1, 2), dtype=np.float64) * voxel
    return {int(v): float(total) for v, total in zip(labels[1:], sums[1:], strict=True)}
