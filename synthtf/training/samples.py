"""Synthetic images and their label maps as files, to look at before training."""

import math
import os
import textwrap
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from synthtf import figures
from synthtf.batch import Outcome
from synthtf.data.label_maps import LabelMaps
from synthtf.data.paths import output_in
from synthtf.data.volume_writer import write_volume
from synthtf.messages import describe, print_line
from synthtf.synthesis import FINE_LABELS, Recipe, random_steps
from synthtf.training.plan import TrainingPlan
from synthtf.training.workflow import (
    load_table,
    make_maps,
    model_shape,
    recipe_of,
    table_of,
)
from synthtf.usage import usage_errors

SHEET = "sheet.png"
# A picture of more images takes minutes to draw, and nobody looks at it.
_SHEET_IMAGES = 48
# The panels of a sheet have fewer pixels than this.
_SHEET_VOXELS = 192
_TITLE_LETTERS = 30  # per panel


def open_maps(
    paths: Sequence[str | os.PathLike] | None, plan: TrainingPlan
) -> tuple[LabelMaps, dict[Path, Exception]]:
    """Make the data set of a plan from the label maps that can be used.

    Args:
        paths: Files; None for a recipe that makes its own label maps.
        plan: Label table, spacing, shape and seed.

    Returns:
        The data set, and for each file that was left out why.

    Raises:
        ValueError: If no file can be used, or if the files do not fit together.
        OSError: If the only file cannot be read.
    """
    table = load_table(plan.labels)
    if paths is None:
        return make_maps(None, table, plan), {}
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


def synthesis_of(maps: LabelMaps, plan: TrainingPlan, recipe: Recipe | None = None) -> keras.Model:
    """Build the synthesis model of a plan as a training on these maps would.

    With the same maps, recipe, labels, spacing, shape and seed, sample number `k` is that of the
    training: a bad one can be looked at again.

    Args:
        maps: Made by `open_maps`.
        plan: The same plan.
        recipe: to take instead of the plan's.

    Returns:
        Model of `Recipe.build`, of the shape of the plan or else of the whole maps.
    """
    recipe = recipe or recipe_of(plan)
    table = table_of(maps, load_table(plan.labels), recipe)
    return recipe.build(plan.shape or maps.shape, table, maps.spacing)


def training_shape(maps: LabelMaps, plan: TrainingPlan) -> TrainingPlan:
    """Give the plan whose samples are those of a training, to the bit.

    Where a plan leaves the shape open, a training enlarges the whole maps to what its network
    takes, and what is drawn depends on the shape.

    Args:
        maps: Made by `open_maps`, of the same plan.
        plan: The same plan; its `task` is that of the training.
    """
    return replace(plan, shape=model_shape(maps, plan))


def synthesize(
    synthesis: keras.Model, maps: LabelMaps, number: int, compiled: bool = True
) -> dict[str, np.ndarray]:
    """Synthesise one sample.

    Args:
        synthesis: Model from label maps and keys to images and labels.
        maps: Label maps.
        number: Of the sample, the second integer of its key.
        compiled: Compile the model first, which pays for more than a few samples.

    Returns:
        "image", "labels" and the targets that the recipe keeps, `(*spatial)`, and its numbers.
    """
    batch = maps.sample(number)[0]
    output = dict(synthesis.predict_on_batch(batch) if compiled else synthesis(batch))
    output.pop(FINE_LABELS, None)
    return {name: keras.ops.convert_to_numpy(tensor)[0, ..., 0] for name, tensor in output.items()}


def applied_steps(synthesis: keras.Model, key: tuple[int, int]) -> list[str]:
    """Name the steps that a sample has by chance, from its key alone.

    Args:
        synthesis: Model of random layers.
        key: Seed and number.

    Returns:
        Names of the layers that are applied to this sample and are not applied to all.

    Example:
    >>> recipe = Recipe.preset("tutorial").change("noise", probability=0.5)
    >>> model = recipe.build((16, 16), [0, 1])
    >>> [applied_steps(model, (0, number)) for number in range(4)]
    [[], [], ['noise'], ['noise']]
    """
    keys = np.array([key], "int32")
    names = []
    for step, shape in random_steps(synthesis):
        if step.probability < 1:
            draws = step.sample(keras.ops.convert_to_tensor(keys), (1, *shape[1:]))
            if bool(keras.ops.convert_to_numpy(draws["active"])[0]):
                names.append(step.name)
    return names


def picture(image: np.ndarray) -> np.ndarray:
    """Thin out an image to no more voxels per axis than a picture shows."""
    step = math.ceil(max(image.shape) / _SHEET_VOXELS)
    return image[(slice(None, None, step),) * image.ndim].copy()


def write_samples(
    maps: LabelMaps,
    synthesis: keras.Model,
    folder: str | os.PathLike,
    numbers: Iterable[int],
) -> list[Path]:
    """Write synthetic images with their label maps, and a sheet of them.

    The sheet shows for each image its key and the steps that were applied to it, of those that
    are not applied to all.

    Sample `k` of a label map called `a.nii.gz` becomes `a_000k_image.nii.gz`,
    `a_000k_labels.nii.gz` and a file for each target that the recipe keeps, on one grid in RAS
    orientation whose centre is that of the conformed map. Files of the same name are overwritten.

    Args:
        maps: Label maps.
        synthesis: Model from label maps and keys to images and labels.
        folder: Made if it does not exist.
        numbers: Of the samples, the second integers of their keys.

    Returns:
        The files of the images.
    """
    folder = Path(folder)
    fine = synthesis.output.get(FINE_LABELS)
    coarsening = 1 if fine is None else fine.shape[1] // synthesis.output["labels"].shape[1]
    written, shown, titles = [], [], []
    for number in numbers:
        index = maps.map_index(number)
        output = synthesize(synthesis, maps, number)
        numbers = [name for name in output if not output[name].ndim]
        drawn = [f"{name} {output.pop(name):.3g}" for name in numbers]
        image = output["image"]
        affine = _affine_of_output(
            maps.sample_affine(number), maps.sample_shape, image.shape, coarsening
        )
        name = f"{maps.names[index]}_{number:04d}"
        for part, volume in output.items():
            write_volume(output_in(folder, f"{name}_{part}.nii.gz"), volume, affine=affine)
        written.append(output_in(folder, f"{name}_image.nii.gz"))
        if len(shown) < _SHEET_IMAGES:
            shown.append(picture(image))
            steps = [*applied_steps(synthesis, (maps.seed, number)), *drawn]
            titles.append(_title(name, f"key {maps.seed}, {number}", steps, image.ndim))
            for target in sorted(output.keys() - {"image", "labels"}):
                shown.append(picture(output[target]))
                titles.append(_title(name, f"target {target}", [], image.ndim))
    figures.contact_sheet(shown, folder / SHEET, titles)
    return written


def _title(name: str, key: str, steps: Sequence[str], ndim: int) -> str:
    """Lines that fit above an image, which has a panel for each plane."""
    width = _TITLE_LETTERS * (3 if ndim == 3 else 1)
    lines = [f"{name}  {key}"] if ndim == 3 else [name, key]
    lines += textwrap.wrap(", ".join(step.replace("_", " ") for step in steps), width)
    return "\n".join(lines)


def _affine_of_output(
    affine: np.ndarray, maps: Sequence[int], output: Sequence[int], coarsening: int
) -> np.ndarray:
    """Affine of a grid of another shape and perhaps larger voxels, about the centre of the maps."""
    change = np.eye(4)
    for axis, (n, m) in enumerate(zip(maps, output, strict=True)):
        change[axis, axis] = coarsening
        change[axis, 3] = (n - m * coarsening) / 2 + (coarsening - 1) / 2
    return affine @ change


def synthesize_samples(
    paths: Sequence[str | os.PathLike] | None,
    folder: str | os.PathLike,
    plan: TrainingPlan,
    *,
    num: int | None = None,
    replay: tuple[int, int] | None = None,
    vary: str | None = None,
    extremes: bool = False,
) -> Outcome:
    """Write samples of a plan to look at, with a progress bar.

    Args:
        paths: label maps; None for a recipe that makes its own.
        folder: made if it does not exist.
        plan: label table, recipe, spacing, shape and seed.
        num: number of samples. None: 20, or 4 where a range is varied.
        replay: seed and number of a sample of a training, to write that one alone.
        vary: dotted name of a range such as "bias.drop", to write only a picture of samples along
            which it goes from low to high.
        extremes: take the largest value of every range.

    Returns:
        How many samples, the label maps that cannot be used, and where to look.

    Raises:
        ValueError: if no map can be used, or the recipe has no such range.
    """
    from synthtf.training.sweep import steps_of, sweep

    recipe = recipe_of(plan)
    plan = replace(plan, recipe=recipe.extremes() if extremes else recipe)
    if replay is not None:
        plan = replace(plan, seed=replay[0])
    if vary is not None:
        with usage_errors():
            steps_of(plan.recipe, vary)
    maps, bad = open_maps(paths, plan)
    failures = []
    for path, error in bad.items():
        failures.append((str(path), describe(error).removeprefix(str(path)).lstrip(": ")))
        print_line(f"synthtf synthesize: {': '.join(failures[-1])}")
    if replay is not None:
        plan, numbers = training_shape(maps, plan), [replay[1]]
    else:
        numbers = range(num or (4 if vary else 20))
    if vary is not None:
        text = f"look at {sweep(maps, plan, vary, folder, numbers)}"
    else:
        bar = tqdm(numbers, unit="sample", disable=None)
        write_samples(maps, synthesis_of(maps, plan), folder, bar)
        samples = f"{len(numbers)} sample{'s' if len(numbers) > 1 else ''}"
        text = f"{folder}: {samples}; look at {Path(folder) / SHEET}"
    return Outcome(len(numbers), failures=tuple(failures), text=text)
