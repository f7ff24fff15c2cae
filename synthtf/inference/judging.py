"""How good a segmentation is, predicted from it alone."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.tissues import tissue_table
from synthtf.data.volumes import Volume
from synthtf.inference.prediction import load_run

if TYPE_CHECKING:
    from synthtf.runs.run import Run

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
        ValueError: if the run is of another task, or the segmentation has labels that the network
            does not know.
    """
    run = load_run(model, "quality")
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
        ValueError: if it is of another task or of two dimensions.
    """
    tissues = tissue_table(load_run(run, "quality").table)
    groups = dict(zip(tissues.ids, tissues.groups, strict=True))
    return [groups[label] for label in tissues.output_labels[1:]]


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
