"""From a folder of label maps to a trained run."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from synthtf.data.label_maps import LabelMaps
from synthtf.data.label_table import LabelTable
from synthtf.networks import detector
from synthtf.ranges import as_spacing
from synthtf.synthesis import Recipe
from synthtf.synthesis.build import check_shape
from synthtf.tasks.combined import CombinedModel
from synthtf.tasks.detectors import detector_weights
from synthtf.tasks.plans import SegmentationPlan, TaskPlan
from synthtf.tasks.run import RECIPE, TABLE, Run
from synthtf.tasks.training import Schedule, finished_epochs, train

# A map larger than the image on each side: what rotations and translations bring into
# view is then anatomy, not emptiness.
_MARGIN = 0.15


@dataclass(frozen=True)
class TrainingPlan:
    """What to train, but for how long.

    Attributes:
        labels: path of a label table, a `LabelTable`, or None: every value is an output label.
        recipe: a `Recipe`, its layers, the name of a preset, or the path of a file.
        spacing: mm per voxel. None: that of the first map.
        shape: voxels per axis, centred on the brain if the table knows it, else on all
            labels. None: the whole maps, enlarged to what the network needs.
        task: the network and its objective.
        batch_size: samples per step.
        steps_per_epoch: steps per epoch.
        precision: Keras dtype policy.
        jit_compile: compile with XLA; "auto" does so where it is faster.
        workers: threads that prepare label maps ahead of the steps.
        seed: of the run: first part of every key, and of the network's initial weights.
        start: run with the same network, or at least with the same detector of features, whose
            weights are the initial ones instead. A network of segmentation is a detector, too.
    """

    labels: str | os.PathLike | LabelTable | None = None
    recipe: str | os.PathLike | Sequence | Recipe = "heads"
    spacing: float | Sequence[float] | None = None
    shape: Sequence[int] | None = None
    task: TaskPlan = field(default_factory=SegmentationPlan)
    batch_size: int = 1
    steps_per_epoch: int = 100
    precision: str = "float32"
    jit_compile: bool | str = "auto"
    workers: int = 1
    seed: int = 0
    start: str | os.PathLike | None = None

    def __post_init__(self) -> None:
        """Check the numbers and the policy."""
        if self.spacing is not None:
            as_spacing(self.spacing)
        if self.shape is not None:
            check_shape(self.shape)
        for name, lowest in (
            ("batch_size", 1),
            ("steps_per_epoch", 1),
            ("workers", 1),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if not lowest <= value < 2**31:
                raise ValueError(f"`{name}` must lie in [{lowest}, 2^31). Received: {name}={value}")
        keras.dtype_policies.get(self.precision)


def train_run(
    maps: Sequence[Path] | str | None,
    folder: str | os.PathLike,
    plan: TrainingPlan,
    schedule: Schedule,
    resume: bool = False,
    verbose: int | str = "auto",
) -> Run:
    """Train a task network on label maps.

    Args:
        maps: files, or a folder or .txt list; None for a recipe that makes its own.
        folder: of the run; made if it does not exist.
        plan: what to train.
        schedule: for how long.
        resume: go on from the last checkpoint, with the run's own recipe and labels.
        verbose: of `fit`, or "bar": one progress bar for the whole training.

    Returns:
        The run.

    Raises:
        ValueError: if a file, range or shape does not fit.
    """
    keras.utils.set_random_seed(plan.seed)
    keras.config.set_dtype_policy(plan.precision)
    table, config = load_table(plan.labels), Recipe.of(plan.recipe)
    data = make_maps(maps, table, plan)
    shape = model_shape(data, plan)
    table = config.table(table_of(data, table, config), shape, data.spacing)
    model = plan.task.build(shape, table, data.spacing, config)
    if plan.start is not None:
        _copy_weights(Run.load(plan.start), model.task_model)
    facts = _facts(data, shape, model, plan)
    if resume and (Path(folder) / RECIPE).is_file():
        run = Run.load(folder)
        _refuse_difference(run, config, table, facts)
    else:
        if finished_epochs(Path(folder)):
            raise ValueError(f"{folder}: holds a training; resume it or choose another folder")
        run = Run.create(folder, table, config, facts)
    train(run, model, data, schedule, resume, verbose, plan.jit_compile)
    return run


def load_table(labels: Any) -> LabelTable | None:
    """Give a label table from a path, or as it is."""
    return labels if labels is None or isinstance(labels, LabelTable) else LabelTable.read(labels)


def table_of(maps: LabelMaps, table: LabelTable | None, config: Recipe) -> LabelTable:
    """Give the rows of a table that label maps need, or a table of their labels.

    The maps that a recipe makes from nothing are not known yet: all rows remain.
    """
    if table is None:
        return LabelTable.from_labels(maps.labels)
    return table if config.makes_labels else table.select({0, *maps.labels})


def make_maps(maps: Any, table: LabelTable | None, plan: TrainingPlan) -> LabelMaps:
    """Make the data set of a plan, with a margin around the shape that is synthesised.

    Without maps, for a recipe that makes its own, it is one blank map.

    Raises:
        ValueError: if there are no maps and the recipe makes none, or the plan has no shape.
    """
    if maps is None:
        maps, table = [_blank_map(plan)], None
    options = {
        "seed": plan.seed,
        "batch_size": plan.batch_size * plan.task.maps_per_sample,
        "num_batches": plan.steps_per_epoch,
        "workers": plan.workers,
        "table": table,
        "spacing": plan.spacing,
        "centre_on": table.brain_labels or None if table else None,
    }
    shape = plan.shape and tuple(n + 2 * math.ceil(_MARGIN * n) for n in plan.shape)
    return LabelMaps(maps, shape=shape, **options)


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
    multiple = plan.task.multiple
    return tuple(-(-n // multiple) * multiple for n in maps.shape)


def _copy_weights(run: Run, network: keras.Model) -> None:
    """Copy all weights, those of the detector, or, of one that is given, all others."""
    finder = detector(network)
    copied = False
    if finder is not None and not finder.trainable:
        copied = _copied(_others(run.task_model), _others(network))
    elif finder is None or run.task != "segmentation":
        copied = _copied(run.task_model.weights, network.weights)
    if not copied and finder is not None and finder.trainable:
        copied = _copied(detector_weights(run) or (), finder.weights)
    if not copied:
        raise ValueError(f"{run.folder}: has another network than the one to be trained")


def _others(network: keras.Model) -> list[keras.Variable]:
    """Weights that are not the detector's."""
    finder = detector(network)
    given = {id(weight) for weight in finder.weights} if finder is not None else set()
    return [weight for weight in network.weights if id(weight) not in given]


def _copied(source: Sequence[Any], target: Sequence[keras.Variable]) -> bool:
    """Copy weights if all are of the same shapes."""
    fits = [tuple(w.shape) for w in source] == [tuple(w.shape) for w in target]
    for old, new in zip(source, target, strict=True) if fits else ():
        new.assign(old)
    return fits


def _facts(
    data: LabelMaps, shape: tuple[int, ...], model: CombinedModel, plan: TrainingPlan
) -> dict[str, Any]:
    return {
        **plan.task.facts(),
        "shape": list(shape),
        "spacing": [float(mm) for mm in data.spacing],
        "output_labels": list(model.output_labels),
        "precision": plan.precision,
        "seed": plan.seed,
        "num_maps": data.num_maps,
    }


def _refuse_difference(run: Run, config: Recipe, table: LabelTable, facts: dict[str, Any]) -> None:
    """Refuse to resume with other settings than those of the run."""
    for name, value in facts.items():
        if run.metadata.get(name) != value:
            raise ValueError(
                f"{run.folder}: cannot resume with another `{name}`. "
                f"Expected: {run.metadata.get(name)!r}. Received: {value!r}"
            )
    if run.config != config:
        raise ValueError(f"{run.folder / RECIPE}: cannot resume with another recipe")
    if run.table != table:
        raise ValueError(f"{run.folder / TABLE}: cannot resume with another label table")
