"""Synthetic images and their label maps as files, to look at before training."""

import math
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np

from synthtf import figures
from synthtf.data.label_maps import LabelMaps
from synthtf.data.label_table import LabelTable
from synthtf.data.paths import output_in
from synthtf.data.volume_writer import write_volume
from synthtf.synthesis import labels_to_image
from synthtf.tasks.workflow import TrainingPlan, load_recipe, load_table, make_maps

SHEET = "sheet.png"
# A picture of more images takes minutes to draw, and nobody looks at it.
_SHEET_IMAGES = 48
# The panels of a sheet have fewer pixels than this.
_SHEET_VOXELS = 192


def open_maps(
    paths: Sequence[str | os.PathLike], plan: TrainingPlan
) -> tuple[LabelMaps, dict[Path, Exception]]:
    """Make the data set of a plan from the label maps that can be used.

    Args:
        paths: Files.
        plan: Label table, spacing, shape and seed.

    Returns:
        The data set, and for each file that was left out why.

    Raises:
        ValueError: If no file can be used, or if the files do not fit together.
        OSError: If the only file cannot be read.
    """
    table = load_table(plan.labels)
    paths = [Path(path) for path in paths]
    try:
        return make_maps(paths, table, plan), {}
    except (ValueError, OSError):
        if len(paths) == 1:
            raise
    failures: dict[Path, Exception] = {}
    for path in paths:
        try:
            with warnings.catch_warnings():
                # What is worth a warning is said when the data set is made.
                warnings.simplefilter("ignore")
                make_maps([path], table, plan)
        except (ValueError, OSError) as error:
            failures[path] = error
    if len(failures) == len(paths):
        reasons = dict.fromkeys(str(error) for error in failures.values())
        raise ValueError(f"none of the {len(paths)} label maps can be used: {'; '.join(reasons)}")
    return make_maps([path for path in paths if path not in failures], table, plan), failures


def synthesis_of(maps: LabelMaps, plan: TrainingPlan) -> keras.Model:
    """Build the synthesis model of a plan as a training on these maps would.

    With the same maps, recipe, labels, spacing, shape and seed, sample number `k` is that of the
    training: a bad one can be looked at again.

    Args:
        maps: Made by `open_maps`.
        plan: The same plan.

    Returns:
        Model of `labels_to_image`, of the shape of the plan or else of the whole maps.
    """
    table = load_table(plan.labels)
    table = table.select({0, *maps.labels}) if table else LabelTable.from_labels(maps.labels)
    return labels_to_image(plan.shape or maps.shape, table, load_recipe(plan.recipe), maps.spacing)


def write_samples(
    maps: LabelMaps,
    synthesis: keras.Model,
    folder: str | os.PathLike,
    numbers: Iterable[int],
) -> list[Path]:
    """Write synthetic images with their label maps, and a sheet of them.

    Sample `k` of a label map called `a.nii.gz` becomes `a_000k_image.nii.gz` and
    `a_000k_labels.nii.gz`, on one grid in RAS orientation whose centre is that of the conformed
    map. Files of the same name are overwritten.

    Args:
        maps: Label maps.
        synthesis: Model from label maps and keys to images and labels.
        folder: Made if it does not exist.
        numbers: Of the samples, the second integers of their keys.

    Returns:
        The files of the images.
    """
    folder = Path(folder)
    written, shown, titles = [], [], []
    for number in numbers:
        index = maps.map_index(number)
        batch = maps.sample(number)[0]
        output = synthesis.predict_on_batch(batch)
        image, labels = (
            np.asarray(keras.ops.convert_to_numpy(output[name]))[0, ..., 0]
            for name in ("image", "labels")
        )
        affine = _affine_of_output(maps.affine(index), maps.shape, image.shape)
        name = f"{maps.names[index]}_{number:04d}"
        written.append(output_in(folder, f"{name}_image.nii.gz"))
        write_volume(written[-1], image, affine=affine)
        write_volume(output_in(folder, f"{name}_labels.nii.gz"), labels, affine=affine)
        if len(shown) < _SHEET_IMAGES:
            step = math.ceil(max(image.shape) / _SHEET_VOXELS)
            shown.append(image[(slice(None, None, step),) * image.ndim].copy())
            titles.append(name)
    figures.contact_sheet(shown, folder / SHEET, titles)
    return written


def _affine_of_output(affine: np.ndarray, maps: Sequence[int], output: Sequence[int]) -> np.ndarray:
    """Affine of a grid with another shape than the maps', about the same centre."""
    shift = np.eye(4)
    shift[: len(output), 3] = [(n - m) / 2 for n, m in zip(maps, output, strict=True)]
    return affine @ shift
