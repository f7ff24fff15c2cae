"""The test of the demonstration: heads and contrasts that the training has not seen."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthtf import figures
from synthtf.data.label_table import LabelTable
from synthtf.data.phantom_rendering import render_phantom
from synthtf.data.tables import volume_columns, write_table
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.demo.settings import CONTRASTS, DemoSettings
from synthtf.evaluation.averages import mean
from synthtf.evaluation.comparing import evaluate
from synthtf.inference.caution import CautionWarning
from synthtf.inference.segmenting import Segmentation, segment
from synthtf.runs.run import Run

SCORES = ("scan", "contrast", "label", "name", "dice", "hausdorff95_mm")


@dataclass(frozen=True)
class HeldOutScan:
    """A rendered phantom.

    Attributes:
        head: Number of the head.
        contrast: What it was rendered as.
        scan: File of the image.
        reference: File of its output labels.
    """

    head: int
    contrast: str
    scan: Path
    reference: Path

    @property
    def segmentation(self) -> Path:
        """File that the network's labels are written to."""
        return self.scan.with_name(self.scan.name.replace(".nii.gz", "_seg.nii.gz"))


def render_held_out(
    folder: Path, settings: DemoSettings, table: LabelTable, seeds: Sequence[int] | None = None
) -> list[HeldOutScan]:
    """Write each held-out head in every contrast, with the labels that are the truth.

    Args:
        folder: Made if it does not exist.
        settings: Number, seed and grid of the heads.
        table: Which label counts as which output label.
        seeds: Of the heads. None: those of the test.

    Returns:
        The scans, head by head.
    """
    affine = centred_affine(settings.shape, settings.spacing)
    scans = []
    first = settings.first_held_out
    seeds = range(first, first + settings.num_held_out) if seeds is None else seeds
    for number, seed in enumerate(seeds):
        labels = settings.head(seed)
        reference = folder / f"head{number}_labels.nii.gz"
        write_volume(reference, count_as_outputs(labels, table), affine=affine)
        for contrast in CONTRASTS:
            scan = folder / f"head{number}_{contrast}.nii.gz"
            image = render_phantom(labels, contrast, number, settings.spacing)
            write_volume(scan, image, affine=affine)
            scans.append(HeldOutScan(number, contrast, scan, reference))
    return scans


def segment_held_out(run: Run, scans: list[HeldOutScan], folder: Path) -> list[dict]:
    """Segment the scans, write the labels, volumes and scores, and draw overlays.

    Args:
        run: The trained network.
        scans: Made by `render_held_out`.
        folder: Of `dice.csv`, `dice.png`, `volumes.csv` and an overlay per contrast.

    Returns:
        A row of `SCORES` per scan and structure.
    """
    names = dict(zip(run.table.ids, run.table.names, strict=True))
    columns = volume_columns(names, run.output_labels)
    scores, volumes = [], []
    for scan in scans:
        image = read_volume(scan.scan)
        with warnings.catch_warnings():
            # The scores say how good a network of some minutes is.
            warnings.simplefilter("ignore", CautionWarning)
            found = segment(image, run)
        write_volume(scan.segmentation, found.labels.data, like=found.labels)
        volumes.append(_volume_row(scan, found, columns))
        scores.extend(_score_rows(scan, found.labels, run.table))
        if scan.head == 0:
            path = folder / f"overlay_{scan.contrast}.png"
            title = f"{scan.contrast}: what the network found in a held-out head"
            figures.overlay(image.data, found.labels.data, path, title, spacing=image.spacing)
    write_table(folder / "dice.csv", SCORES, scores)
    write_table(folder / "volumes.csv", ["scan", *columns.values()], volumes)
    bars = [(row["name"], row["contrast"], row["dice"]) for row in scores]
    figures.dice_table(bars, folder / "dice.png")
    return scores


def mean_dice(scores: list[dict]) -> list[dict[str, object]]:
    """Average the Dice of the heads.

    Args:
        scores: Rows of `segment_held_out`.

    Returns:
        A row per structure, and a last one called `mean` over the structures: `name`, and the
        Dice per contrast.
    """
    rows = [
        {"name": name}
        | {
            contrast: mean(
                row["dice"] for row in scores if (row["name"], row["contrast"]) == (name, contrast)
            )
            for contrast in CONTRASTS
        }
        for name in dict.fromkeys(row["name"] for row in scores)
    ]
    return [*rows, {"name": "mean"} | {c: mean(row[c] for row in rows) for c in CONTRASTS}]


def count_as_outputs(labels: np.ndarray, table: LabelTable) -> np.ndarray:
    """Replace each label by the output label that it counts as."""
    values = np.zeros(max(table.ids) + 1, np.int32)
    values[list(table.ids)] = table.outputs
    return values[labels]


def centred_affine(shape: tuple[int, ...], spacing: float) -> np.ndarray:
    """Affine in RAS orientation that puts the origin into the centre of the volume."""
    affine = np.diag([spacing] * 3 + [1.0])
    affine[:3, 3] = [-spacing * (n - 1) / 2 for n in shape]
    return affine


def _score_rows(scan: HeldOutScan, labels: Volume, table: LabelTable) -> list[dict]:
    rows = evaluate(labels, read_volume(scan.reference, labels=True), table)
    about = {"scan": scan.scan.name, "contrast": scan.contrast}
    return [about | {name: row[name] for name in SCORES[2:]} for row in rows]


def _volume_row(scan: HeldOutScan, found: Segmentation, columns: dict[int, str]) -> dict:
    named = {columns[label]: f"{volume:.0f}" for label, volume in found.volumes.items()}
    return {"scan": scan.scan.name, **named}
