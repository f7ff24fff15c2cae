"""How good an image is, or a segmentation, predicted from it alone."""

import dataclasses
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.tissues import tissue_table
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.conform import ConformedGrid, pad_to_multiple
from synthtf.inference.foreground import foreground_box
from synthtf.inference.normalize import normalize_intensity
from synthtf.inference.prediction import load_run, warn_of_spacing

if TYPE_CHECKING:
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel

LEAST_DICE = 0.65
"""Least predicted Dice of a segmentation to rely on, as for SynthSeg."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What `judge` returns.

    Attributes:
        scores: name of each tissue to its predicted Dice, in [0, 1].
    """

    scores: dict[str, float]

    @property
    def verdict(self) -> str:
        """What to think of it: "good" if no tissue is below `LEAST_DICE`, else "poor"."""
        return "good" if min(self.scores.values()) >= LEAST_DICE else "poor"


def judge(labels: Volume, model: "Run | str") -> Judgement:
    """Predict the Dice of the tissues in a segmentation.

    It is brought to the grid on which the network was trained, centred on what was found.

    Args:
        labels: segmentation in three dimensions, with the labels of the network's table.
        model: run of the task "quality", its folder, or a model that `fit` trained.

    Raises:
        ValueError: if the run is of another task or judges images, or the segmentation has labels
            that the network does not know.
    """
    run = _load(model, of_images=False)
    tissues = tissue_table(run.table)
    unknown = set(np.unique(labels.data).tolist()) - set(tissues.ids)
    if unknown:
        raise ValueError(
            f"{labels.name}: holds labels that the network in {run.name} does not know. "
            f"Received: {sorted(unknown)[:5]}"
        )
    placed = _on_grid(np.asarray(labels.data), labels.affine, run)
    members = [[i for i in tissues.ids if tissues.mapping[i] == v] for v in tissues.output_labels]
    channels = np.stack([np.isin(placed, labels) for labels in members], -1)
    scores = run.task_model.predict_on_batch(channels[None].astype(np.float32))[0]
    found = np.clip(np.asarray(scores, float), 0, 1).tolist()
    return Judgement(dict(zip(tissue_names(run), found, strict=True)))


def tissue_names(run: "Run") -> list[str]:
    """Give the names of the tissues that a run of the task "quality" judges.

    Raises:
        ValueError: if it is of another task or of two dimensions, or judges images.
    """
    tissues = tissue_table(_load(run, of_images=False).table)
    groups = dict(zip(tissues.ids, tissues.groups, strict=True))
    return [groups[label] for label in tissues.output_labels[1:]]


def judge_image(
    scan: "Volume | str | PathLike", model: "CombinedModel | Run | str | PathLike", ct: bool = False
) -> dict[str, float]:
    """Tell how strong noise, motion and the like are in a scan.

    The scan is brought to RAS orientation and the network's spacing, cropped to its foreground and
    normalised between percentiles.

    Args:
        scan: A volume, or its file. A 2D image counts as a slice of one voxel.
        model: A run of the task "quality" that judges images, its folder or name, or a model that
            `fit` trained.
        ct: Whether the scan is in Hounsfield units.

    Returns:
        By the name that the recipe has for each number, what the network tells; at least 0.

    Raises:
        ValueError: If the scan or the run does not fit.
        FileNotFoundError: If a file is missing.

    Warns:
        UserWarning: If the voxels have an unlikely size.
    """
    run = _load(model, of_images=True)
    volume = scan if isinstance(scan, Volume) else read_volume(scan)
    data = volume.data[..., None] if volume.data.ndim == 2 else volume.data
    if data.ndim != 3 or volume.data.ndim != volume.ndim:
        raise ValueError(f"{volume.name}: expected one frame. Received: {volume.data.shape}")
    warn_of_spacing(volume, run)
    image = ConformedGrid.of(data.shape, volume.affine, run.spacing).conform(data)
    image = normalize_intensity(image[foreground_box(image, run.spacing)], ct=ct)
    image, _ = pad_to_multiple(image, run.multiple)
    found = run.task_model.predict_on_batch(image[None, ..., None])[0]
    numbers = np.maximum(np.asarray(found, float), 0).tolist()
    return dict(zip(number_names(run), numbers, strict=True))


def number_names(run: "Run") -> list[str]:
    """Give the names of the numbers that a run of the task "quality" tells of an image.

    Raises:
        ValueError: if it is of another task or of two dimensions, or judges segmentations.
    """
    return list(_load(run, of_images=True).metadata["numbers"])


def _load(model: "CombinedModel | Run | str | PathLike", *, of_images: bool) -> "Run":
    """Load a run that judges images, or one that judges segmentations."""
    run = load_run(model, "quality")
    if ("numbers" in run.metadata) != of_images:
        kinds = ("segmentations", "images")
        raise ValueError(
            f"{run.name}: expected a network that judges {kinds[of_images]}. Received: one that "
            f"judges {kinds[not of_images]}"
        )
    return run


def _on_grid(labels: np.ndarray, affine: np.ndarray, run: "Run") -> np.ndarray:
    """Resample a label map to the grid of a run, RAS, centred on its labels."""
    from scipy.ndimage import affine_transform

    labels = labels.reshape(labels.shape[:3] + (1,) * (3 - labels.ndim))
    found = np.argwhere(labels)
    middle = (found.min(0) + found.max(0)) / 2 if len(found) else (np.array(labels.shape) - 1) / 2
    centre = affine[:3, :3] @ middle + affine[:3, 3]
    first = centre - np.array(run.spacing) * (np.array(run.shape) - 1) / 2
    back = np.linalg.inv(affine)
    matrix = back[:3, :3] @ np.diag(run.spacing)
    offset = back[:3, :3] @ first + back[:3, 3]
    return affine_transform(labels, matrix, offset, run.shape, order=0, prefilter=False)
