"""One sample learnt by heart: what cannot do so will not learn from many."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from synthtf import figures, xla
from synthtf.batch import Outcome
from synthtf.data.delimited import write_rows
from synthtf.data.label_maps import LabelMaps
from synthtf.data.label_table import LabelTable
from synthtf.data.paths import output_in
from synthtf.layers import RandomFlip
from synthtf.synthesis import FINE_LABELS
from synthtf.training.combined import CombinedModel
from synthtf.training.guard import Target, find_faults
from synthtf.training.pilot import pilot_of
from synthtf.training.plan import TrainingPlan
from synthtf.training.schedule import Schedule
from synthtf.training.workflow import make_model

STEPS = 300
"""Steps that a network has at most."""

TABLE, FIGURE = "overfit.csv", "overfit.png"
_DICE = 0.9  # that a network of segmentation must reach
_LEFT = 0.3  # of the first loss, that other networks must reach
_RATES = (0.1, 10.0, 0.01, 100.0)  # times the learning rate, in the order in which they are tried
_FEWER = 0.5  # of the steps for these


@dataclass(frozen=True)
class Overfit:
    """What `overfit_one` found.

    Attributes:
        converged: whether the network learnt the sample.
        losses: of all steps; none if the sample itself is at fault.
        fault: what is wrong: "image", "lost labels", "unmoved labels", "learning rate" or, if the
            network does not converge for another reason, "network"; empty if nothing is.
        reason: the same in a sentence.
    """

    converged: bool
    losses: tuple[float, ...]
    fault: str = ""
    reason: str = ""


def overfit_one(
    model: CombinedModel, maps: LabelMaps, schedule: Schedule, steps: int = STEPS, number: int = 0
) -> Overfit:
    """Train on one sample alone, and say what is wrong if it is not learnt.

    The sample is looked at first, as a network may learn even a wrong target by heart: whether the
    image is constant or hardly shows the anatomy, whether the target lacks labels that the map
    shows, and whether it is the label map as it was before the image was moved. What is sound is
    trained on. If the network does not converge, other learning rates are tried, from the same
    weights.

    Args:
        model: of one image a sample, with its first weights, which do not change.
        maps: label maps.
        schedule: optimizer and learning rate.
        steps: at most.
        number: of the sample.

    Raises:
        ValueError: if the model is of another kind.
    """
    if model.maps_per_sample != 1 or not {"image", "labels"} <= set(model.synthesis.output):
        raise ValueError("one sample can be learnt by heart by networks of one image alone")
    batch = maps.sample(number)[0]
    sample = _synthesized(model, batch)
    fault, reason = look_at(model, batch, sample)
    if fault:
        return Overfit(False, (), fault, reason)
    trial = _Trial(model, sample, schedule)
    converged, losses = trial.run(schedule.learning_rate, steps)
    if converged:
        return Overfit(True, losses)
    for factor in _RATES:
        rate = schedule.learning_rate * factor
        if rate < 1 and trial.run(rate, max(1, round(_FEWER * steps)))[0]:
            reason = (
                f"the learning rate {schedule.learning_rate:g} is too "
                f"{'low' if factor > 1 else 'high'}: with {rate:g}, the sample is learnt"
            )
            return Overfit(False, losses, "learning rate", reason)
    reason = (
        f"image and target are sound, and no learning rate helps within {steps} steps: train "
        "longer, or take a larger network"
    )
    return Overfit(False, losses, "network", reason)


def look_at(
    model: CombinedModel, batch: dict[str, np.ndarray], sample: dict[str, np.ndarray]
) -> tuple[str, str]:
    """Look for faults of one sample.

    Args:
        model: with the synthesis, and the table and recipe of its run.
        batch: label map and key.
        sample: what the synthesis makes of them.

    Returns:
        Name of the fault and a sentence; empty if it is sound.
    """
    image, labels = (sample[name][0, ..., 0] for name in ("image", "labels"))
    table, source = model.run.table, batch["labels"][0, ..., 0]
    target = Target.of(table, model.synthesis)
    fine = sample[FINE_LABELS][0, ..., 0] if FINE_LABELS in sample else labels
    shown, anatomy = target.expected(source, labels, fine)
    faults = find_faults(image, labels, target.foreground, anatomy)
    if faults:
        return "image", f"the image is useless ({', '.join(faults)}): correct the recipe"
    if _is_unmoved(model, source, fine, target):
        return "unmoved labels", (
            "the target is the label map as it was before the recipe moved the image: take the "
            "labels that the synthesis gives"
        )
    there = set(np.unique(fine).tolist())
    lost = {*target.lost(shown, there), *(there - set(model.output_labels or there))}
    if model.output_labels:
        # What the table says counts, too: the synthesis may map a label to the background.
        named = Target(table.mapping, _mirrored(table), target.foreground)
        lost |= set(named.lost(shown, there))
    if lost:
        return "lost labels", (
            f"the target lacks the labels {' '.join(map(str, sorted(lost)))}, which the label map "
            "shows: correct the label table, the shape or the voxel size"
        )
    return "", ""


def _mirrored(table: LabelTable) -> dict[int, int]:
    """Give what each label counts as after a flip."""
    partners = zip(table.ids, table.partners, strict=True)
    return {v: table.mapping[v if partner is None else partner] for v, partner in partners}


def _is_unmoved(
    model: CombinedModel, source: np.ndarray, labels: np.ndarray, target: Target
) -> bool:
    """Whether a target is the map itself although the recipe moves each sample."""
    recipe = model.run.recipe
    moves = [s for s in recipe if s.gives == ("transform",) and not isinstance(s, RandomFlip)]
    if not any(getattr(step, "probability", 1) == 1 for step in moves):
        return False
    starts = [(n - size) // 2 for n, size in zip(source.shape, labels.shape, strict=True)]
    if min(starts) < 0:
        return False
    box = tuple(slice(a, a + n) for a, n in zip(starts, labels.shape, strict=True))
    values = np.zeros(max(*target.mapping, int(source.max())) + 1, labels.dtype)
    values[list(target.mapping)] = list(target.mapping.values())
    return bool((values[source[box]] == labels).all()) and len(np.unique(labels)) > 1


def _synthesized(model: CombinedModel, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give a sample as arrays."""
    sample = xla.call_once(model.synthesis, batch)
    return {name: np.asarray(keras.ops.convert_to_numpy(x)) for name, x in sample.items()}


class _Trial:
    """Trains a copy of a network on a stored sample, each time from the same weights."""

    def __init__(
        self, model: CombinedModel, sample: dict[str, np.ndarray], schedule: Schedule
    ) -> None:
        self.sample = sample
        given = {
            name: keras.Input(x.shape[1:], dtype=x.dtype, name=name)
            for name, x in model.synthesis.output.items()
        }
        stored = keras.saving.serialize_keras_object(keras.Model(given, dict(given)))
        self.model = type(model).from_config(
            {**model.get_config(), "synthesis": stored, "run": None}
        )
        self.model.task_model.set_weights(model.task_model.get_weights())
        self.model.compile(schedule.make_optimizer())
        self.model.optimizer.build(self.model.trainable_variables)
        self._variables = [*self.model.weights, *self.model.optimizer.variables]
        self._first = [keras.ops.convert_to_numpy(v) for v in self._variables]

    def run(self, rate: float, steps: int) -> tuple[bool, tuple[float, ...]]:
        """Train until the sample is learnt, the loss is not finite, or the steps are over."""
        for variable, value in zip(self._variables, self._first, strict=True):
            variable.assign(value)
        self.model.optimizer.learning_rate = rate
        losses: list[float] = []
        for _ in range(steps):
            self.model.reset_metrics()
            logs = self.model.train_on_batch(self.sample, return_dict=True)
            losses.append(float(logs["loss"]))
            if not np.isfinite(losses[-1]):
                break
            if _is_learnt(losses, logs):
                return True, tuple(losses)
        return False, tuple(losses)


def _is_learnt(losses: Sequence[float], logs: dict[str, Any]) -> bool:
    if "dice" in logs:
        return float(logs["dice"]) >= _DICE
    return losses[-1] <= _LEFT * losses[0]


def overfit_plan(
    maps: Any, folder: str | os.PathLike, plan: TrainingPlan, schedule: Schedule
) -> Outcome:
    """Make the model of a plan, and let it learn one sample by heart.

    Args:
        maps: as for `train_run`.
        folder: made if it does not exist; gets `overfit.csv`, the losses, and `overfit.png`, the
            image with its target.
        plan: what to train.
        schedule: optimizer and learning rate; its epochs are the steps if these are fewer than
            `STEPS`.

    Returns:
        As text what was found. What is wrong is a failure.
    """
    model, data = make_model(*pilot_of(maps, plan))
    found = overfit_one(model, data, schedule, min(STEPS, schedule.epochs * plan.steps_per_epoch))
    rows = enumerate(found.losses, start=1)
    write_rows(output_in(folder, TABLE), [("step", "loss"), *rows])
    sample = _synthesized(model, data.sample(0)[0])
    image, labels = (sample[name][0, ..., 0] for name in ("image", "labels"))
    title = f"key {data.seed}, 0: {found.fault or 'sound'}"
    path = output_in(folder, FIGURE)
    figures.contact_sheet([image, image], path, [title, "its target"], [0 * labels, labels])
    failures = ((found.fault, found.reason),) if found.fault else ()
    learnt = "the sample is learnt by heart" if found.converged else "the sample is not learnt"
    if found.losses:
        first, last = found.losses[0], found.losses[-1]
        learnt += f" ({len(found.losses)} steps, loss {first:.3g} to {last:.3g})"
    lines = [f"{learnt}; look at {Path(folder) / FIGURE}"]
    lines += [f"{found.fault}: {found.reason}"] if found.fault else []
    return Outcome(1, failures=failures, text="\n".join(lines))
