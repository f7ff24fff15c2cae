"""From a folder of label maps to a trained run."""

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from synthtf.data.label_maps import LabelMaps
from synthtf.data.label_table import LabelTable
from synthtf.data.mixed_maps import Mixed, real_files
from synthtf.data.own_files import refuse_foreign_folder
from synthtf.data.volume_shares import SHARES, volume_shares
from synthtf.layers import ShowScan
from synthtf.runs.run import FACTS, MODEL, RECIPE, TABLE, Run, as_run
from synthtf.synthesis import Recipe
from synthtf.training.checkpoint import finished_epochs
from synthtf.training.combined import CombinedModel
from synthtf.training.devices import on_devices, refuse_processes
from synthtf.training.loop import train
from synthtf.training.pilot import pilot_of
from synthtf.training.plan import TrainingPlan
from synthtf.training.real_pairs import MixedPairs
from synthtf.training.schedule import Schedule

# A map larger than the image on each side: what rotations and translations bring into
# view is then anatomy, not emptiness.
_MARGIN = 0.15


def train_run(
    maps: Sequence[Path] | str | None,
    folder: str | os.PathLike,
    plan: TrainingPlan,
    schedule: Schedule,
    resume: bool = False,
    verbose: int | str = "auto",
) -> Run:
    """Train a task network on label maps.

    A task of several networks, such as that of a robust segmentation, trains one after the other,
    each into a folder of its own in that of the run, and then joins them.

    Args:
        maps: files, or a folder or .txt list; None for a recipe that makes its own.
        folder: of the run; made if it does not exist.
        plan: what to train.
        schedule: for how long; the same for each of several networks.
        resume: go on from the last checkpoint, with the run's own recipe and labels.
        verbose: of `fit`, or "bar": one progress bar for the whole training.

    Returns:
        The run.

    Raises:
        ValueError: if a file, range or shape does not fit; or as `pilot_of` and
            `refuse_processes`.
    """
    refuse_processes()
    if plan.devices > 1 and schedule.accumulate > 1 and keras.backend.backend() == "tensorflow":
        raise ValueError(
            "`accumulate` must be 1 on several devices: TensorFlow's strategy cannot change the "
            f"weights after some steps only; use JAX. Received: accumulate={schedule.accumulate}"
        )
    maps, plan = pilot_of(maps, plan)
    train_networks = _train_stages if plan.task.has_stages else _train_network
    with on_devices(plan.devices):
        return train_networks(maps, Path(folder), plan, schedule, resume, verbose)


def _train_stages(
    maps: Sequence[Path] | str | None,
    folder: Path,
    plan: TrainingPlan,
    schedule: Schedule,
    resume: bool,
    verbose: int | str,
) -> Run:
    """Train the networks of a task of several, and join them; a finished one is kept."""
    refuse_foreign_folder(folder, FACTS, (TABLE, RECIPE, MODEL))
    if finished_epochs(folder):
        raise ValueError(f"{folder}: holds the training of one network; choose another folder")
    table = load_table(plan.labels)
    if table is None:
        raise ValueError(
            f"`labels` must be a label table for the task {plan.task.name}. Received: labels=None"
        )
    data = make_maps(maps, table, plan)
    table = table_of(data, table, recipe_of(plan))
    plan = replace(plan, shape=model_shape(data, plan))
    start = None if plan.start is None else Path(as_run(plan.start).name)
    runs = []
    for name, (task, labels) in plan.task.stages(table).items():
        stage = replace(plan, task=task, labels=labels, start=start and start / name)
        runs.append(_train_network(maps, folder / name, stage, schedule, resume, verbose))
    return plan.task.join(folder, runs)


def _train_network(
    maps: Sequence[Path] | str | None,
    folder: Path,
    plan: TrainingPlan,
    schedule: Schedule,
    resume: bool,
    verbose: int | str,
) -> Run:
    """Train one network; see `train_run`."""
    model, data = make_model(maps, plan)
    table, recipe = model.run.table, model.run.recipe
    facts = {
        **model.run.metadata,
        "precision": plan.precision,
        "seed": plan.seed,
        "num_maps": data.num_maps,
        "around": plan.around and list(plan.around),
        "batch_size": data.batch_size,
        "steps_per_epoch": len(data),
    }
    done = finished_epochs(folder)
    if done and not resume:
        raise ValueError(f"{folder}: holds a training; resume it or choose another folder")
    if done:
        run = Run.load(folder)
        _refuse_difference(run, recipe, table, facts)
    else:
        shares = volume_shares(data.counts, table)
        run = Run.create(folder, table, recipe, {**facts, SHARES: shares})
    train(run, model, data, schedule, resume, verbose, plan.jit_compile)
    return run


def make_model(maps: Any, plan: TrainingPlan) -> tuple[CombinedModel, LabelMaps]:
    """Make the model of a plan, with its first weights, and the data set that it learns from.

    Args:
        maps: as for `train_run`.
        plan: what to train.
    """
    keras.utils.set_random_seed(plan.seed)
    _set_keras(plan.precision)
    table, recipe = load_table(plan.labels), recipe_of(plan)
    start = None if plan.start is None else as_run(plan.start)
    if start is not None:
        plan = replace(plan, task=plan.task.starting_from(start))
    data = make_maps(maps, table, plan)
    shape = model_shape(data, plan)
    table = recipe.table(table_of(data, table, recipe), shape, data.spacing)
    model = plan.task.make(shape, table, data.spacing, recipe)
    if start is not None:
        plan.task.copy_weights(start, model.run)
    return model, data


def _set_keras(precision: str) -> None:
    """Set all that a keras.json may have changed: a run is the same on each machine."""
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)
    keras.config.set_dtype_policy(precision)


def load_table(labels: Any) -> LabelTable | None:
    """Give a label table from a path, or as it is."""
    return labels if labels is None or isinstance(labels, LabelTable) else LabelTable.read(labels)


def table_of(maps: LabelMaps, table: LabelTable | None, recipe: Any) -> LabelTable:
    """Give the rows of a table that label maps need, or a table of their labels.

    The maps that a recipe makes from nothing are not known yet: all rows remain.
    """
    if table is None:
        return LabelTable.from_labels(maps.labels)
    return table if recipe.makes_labels else table.select({0, *maps.labels})


def make_maps(maps: Any, table: LabelTable | None, plan: TrainingPlan) -> LabelMaps:
    """Make the data set of a plan, with a margin around the shape that is synthesised.

    Without maps, for a recipe that makes its own, it is one blank map.

    Raises:
        ValueError: if there are no maps and the recipe makes none, or the plan has no shape; or as
            `check_scans`.
    """
    check_scans(plan)
    kind, scans = LabelMaps, {} if plan.scans is None else {"scans": plan.scans}
    if plan.real is not None:
        kind, maps, scans = _with_real(maps, plan)
    elif maps is None:
        maps, table = [_blank_map(plan)], None
    options = {
        **scans,
        "seed": plan.seed,
        "batch_size": plan.batch_size * plan.task.maps_per_sample,
        "num_batches": plan.steps_per_epoch,
        "workers": plan.workers,
        "table": table,
        "spacing": plan.spacing,
        "centre_on": table.brain_labels or None if table else None,
    }
    shape = plan.shape and tuple(n + 2 * math.ceil(_MARGIN * n) for n in plan.shape)
    if plan.around is not None:
        return kind(maps, patch=shape, around=plan.around, **options)
    return kind(maps, shape=shape, **options)


def _with_real(maps: Any, plan: TrainingPlan) -> tuple[type[LabelMaps], Any, dict[str, Any]]:
    """Give the data set of real scans, its label maps, and how it is told of the scans."""
    if plan.task.takes_pairs:
        if maps is None or plan.real_share == 1:
            raise ValueError(
                "`real_share` must be below 1, and label maps be named, which synthetic pairs are "
                f"made from. Received: real_share={plan.real_share:g}, "
                f"{'no label maps' if maps is None else 'label maps'}"
            )
        return MixedPairs, maps, {"real": plan.real, "share": plan.real_share}
    labels, images = real_files(plan.real)
    if plan.real_share < 1:
        return (
            Mixed,
            labels if maps is None else maps,
            {"real": plan.real, "share": plan.real_share},
        )
    if maps is not None:
        raise ValueError(
            "`real_share` must be below 1 where label maps are named, from which the other images "
            f"are made. Received: real_share={plan.real_share}"
        )
    return LabelMaps, labels, {"scans": images}


def recipe_of(plan: TrainingPlan) -> Recipe:
    """Give the recipe of a plan, which shows real scans if the plan names some."""
    recipe = Recipe.of(plan.recipe)
    if plan.real is None or any(isinstance(step, ShowScan) for step in recipe):
        return recipe
    return recipe.with_scans(plan.real_share < 1, plan.real_remapping)


def check_scans(plan: TrainingPlan) -> None:
    """Check that real scans are given if, and only if, the recipe keeps them.

    Raises:
        ValueError: if they are missing or of no use.
    """
    needed = Recipe.of(plan.recipe).needs_scans
    if needed and plan.scans is None and plan.real is None:
        raise ValueError(
            "`scans` must be the real scans of the label maps, which the recipe takes. "
            "Received: scans=None"
        )
    if plan.scans is not None and not needed:
        raise ValueError(
            "`scans` must be left out: the recipe has no step that takes them, such as KeepScan. "
            f"Received: recipe={Recipe.of(plan.recipe)!r}"
        )


def _blank_map(plan: TrainingPlan) -> np.ndarray:
    if not Recipe.of(plan.recipe).makes_labels:
        raise ValueError("the recipe makes no label maps of its own: name some")
    if plan.shape is None:
        raise ValueError("a recipe that makes its own label maps needs a `shape`")
    return np.ones(tuple(plan.shape), "int32")


def model_shape(maps: LabelMaps, plan: TrainingPlan) -> tuple[int, ...]:
    """Give the shape of the plan, or that of the maps enlarged to what the network needs."""
    if plan.shape is not None:
        return tuple(plan.shape)
    multiple = plan.task.multiple * recipe_of(plan).coarsening
    return tuple(-(-n // multiple) * multiple for n in maps.shape)


def _refuse_difference(run: Run, recipe: Any, table: LabelTable, facts: dict[str, Any]) -> None:
    """Refuse to resume with other settings than those of the run."""
    for name, value in facts.items():
        if run.metadata.get(name) != value:
            raise ValueError(
                f"{run.folder}: cannot resume with another `{name}`. "
                f"Expected: {run.metadata.get(name)!r}. Received: {value!r}"
            )
    if run.recipe != recipe:
        raise ValueError(f"{run.folder / RECIPE}: cannot resume with another recipe")
    if run.table != table:
        raise ValueError(f"{run.folder / TABLE}: cannot resume with another label table")
