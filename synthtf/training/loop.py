"""Training a combined model into a run folder: log, checkpoints, figures, resume."""

import math
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from synthtf import figures, xla
from synthtf.data.label_maps import LabelMaps
from synthtf.data.whole_files import written_aside
from synthtf.messages import print_line
from synthtf.runs.precision import in_float32
from synthtf.runs.run import Run
from synthtf.training.checkpoint import (
    CURVE,
    LOG,
    Checkpoint,
    SaveRun,
    clean,
    draw_curve,
    finished_epochs,
)
from synthtf.training.combined import CombinedModel
from synthtf.training.guard import GUARD, FaultList, FiniteGuard, SampleGuard
from synthtf.training.progress import ProgressBar
from synthtf.training.schedule import Schedule
from synthtf.training.scores import VALIDATION
from synthtf.training.validation import ScanValidation, check_validation

TENSORBOARD = "tensorboard"
"""Folder of a run with the log for TensorBoard."""

_SHEET_SAMPLES = 12
_MEASURED = 0.05  # of the minutes, after which the epochs are planned


class CosineBudget(keras.callbacks.Callback):
    """Anneal the learning rate over epochs, and stop when these or the minutes are over.

    Args:
        schedule: epochs, minutes and first learning rate.
        run: knows what was trained and planned before, if it is resumed; is told the plan.
        done: epochs of a resumed run.
    """

    def __init__(self, schedule: Schedule, run: Run, done: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.run = run
        self.spent = run.metadata.get("minutes_done", 0.0) if done else 0.0
        self._start = time.monotonic()
        self._times: dict[str, float] = {}
        self.planned = schedule.epochs
        if schedule.minutes is not None and schedule.anneal:
            self.planned = self._stored(done)

    def _stored(self, done: int) -> int | None:
        """Epochs planned before, or, for other minutes, by the time that epochs took before."""
        facts = self.run.metadata
        if not done:
            return None
        before = facts.get("schedule", {})
        same = all(before.get(n) == getattr(self.schedule, n) for n in ("epochs", "minutes"))
        if same and facts.get("planned_epochs"):
            return facts["planned_epochs"]
        return self._plan(done, self.spent / done) if self.spent else None

    def _plan(self, done: int, duration: float) -> int:
        """Epochs in all, if each takes so many minutes."""
        left = (self.schedule.minutes - self.minutes) / max(duration, 1e-9)
        return max(done + 1, min(done + int(left), self.schedule.epochs))

    @property
    def plan(self) -> dict[str, int | None]:
        """What `run.json` shall say of the epochs planned for the minutes, if it does not yet."""
        in_minutes = self.schedule.minutes is not None and self.schedule.anneal
        plan = self.planned if in_minutes else None
        return {} if self.run.metadata.get("planned_epochs") == plan else {"planned_epochs": plan}

    @property
    def minutes(self) -> float:
        """Minutes trained so far, earlier parts of a resumed run included."""
        return self.spent + (time.monotonic() - self._start) / 60

    @property
    def is_over(self) -> bool:
        """Whether the minutes are used up."""
        return self.schedule.minutes is not None and self.minutes >= self.schedule.minutes

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the learning rate."""
        if not self.schedule.anneal:
            self.model.optimizer.learning_rate = self.schedule.learning_rate
            return
        if epoch == 1:
            self._times["second epoch"] = self.minutes
        if self.planned is None and epoch and self.minutes >= _MEASURED * self.schedule.minutes:
            self.planned = self._plan(epoch, self._duration(epoch))
        if self.plan:
            self.run.update(**self.plan)
        # Minutes that are enough for all epochs change nothing, before their plan neither.
        progress = min(epoch / (self.planned or self.schedule.epochs), 1.0)
        fall = (1 + math.cos(math.pi * progress)) / 2
        self.model.optimizer.learning_rate = self.schedule.learning_rate * (0.01 + 0.99 * fall)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Time the steps, but for the first one, in which the graph is made."""
        if self.planned is None:
            self._times.setdefault("first step", self.minutes)
            self._times["last step"] = self.minutes

    def _duration(self, epoch: int) -> float:
        """Minutes that an epoch took, without making the graph."""
        second = self._times.get("second epoch")
        if epoch > 1 and second is not None:
            return (self.minutes - second) / (epoch - 1)
        steps = self.params["steps"] or 1
        first = self._times.get("first step")
        if steps == 1 or first is None:
            return self.minutes / epoch
        return self.minutes - first + (self._times["last step"] - first) / (steps - 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop when the planned epochs or the minutes are over."""
        if self.is_over or (self.planned is not None and epoch + 1 >= self.planned):
            self.model.stop_training = True


def train(
    run: Run,
    model: CombinedModel,
    maps: LabelMaps,
    schedule: Schedule,
    resume: bool = False,
    verbose: int | str = "auto",
    jit_compile: bool | str = "auto",
) -> None:
    """Train a combined model and keep everything in a run folder.

    Writes after every epoch the checkpoint, from which all else is made: the task network,
    `log.csv` (a row per epoch), and `guard.csv` if samples have faults. With real scans to be
    validated on, `validation.csv` has the Dice of each structure and domain, and the folder `best`
    the network that did best in its worst domain. A training that is killed
    at any moment goes on from the checkpoint to the same result. `samples.png` and
    `learning_curve.png` are drawn before and after.

    Args:
        run: made by `Run.create`, or loaded to resume it.
        model: to train.
        maps: label maps; their epoch is set to where the training resumes.
        schedule: how long and how fast.
        resume: go on from the last checkpoint, if there is one.
        verbose: of `fit`, or "bar": one progress bar for the whole training.
        jit_compile: compile with XLA; "auto" does so where it is faster.

    Raises:
        ValueError: if the run holds a checkpoint and `resume` is not set, or it is that of another
            optimizer; if the loss or a weight is not finite; if most of the first samples are
            useless, see `SampleGuard`; or as `check_validation`.
        OSError: if a file cannot be written; the last checkpoint then stays.
    """
    scans = check_validation(run.task, schedule)
    state = Checkpoint.read(run.folder)
    if state:
        _check_resume(run, state, schedule, resume)
    clean(run.folder)
    if state:
        _say_where(run, state, verbose)
        state.publish_texts(run.folder)
        run.metadata["minutes_done"] = state.facts["minutes_done"]
    else:
        for name in (GUARD, LOG, CURVE, VALIDATION):
            (run.folder / name).unlink(missing_ok=True)
        with written_aside(run.folder / "samples.png") as aside:
            sample_sheet(model.synthesis, maps, aside, model.maps_per_sample)
    budget = CosineBudget(schedule, run, state.epochs if state else 0)
    # In one piece: a plan is known by the minutes that it was made for.
    run.update(schedule=schedule.to_dict(), **budget.plan)
    if not schedule.epochs:
        run.save_model(model.task_model, in_float32(model.task_model))
        run.update(epochs_done=0, steps_done=0, minutes_done=0.0)
        return
    faults = FaultList(maps, run.folder)
    finite, guard = FiniteGuard(faults, run), SampleGuard(faults, run.table, schedule.check_every)
    guard.restore(state.guard if state else {})

    for warming_up, last in ((True, model.warm_up), (False, schedule.epochs)):
        state = Checkpoint.read(run.folder)
        first = maps.epoch = state.epochs if state else 0
        over = first >= min(last, budget.planned or last) or (first and budget.is_over)
        is_published = not state or run.metadata.get("epochs_done") == first
        if over and is_published:
            continue
        model.warming_up = warming_up
        model.compile(schedule.make_optimizer(), jit_compile=jit_compile)
        model.optimizer.build(model.trainable_variables)
        if state:
            state.restore(model)
            if not is_published:
                network = in_float32(model.task_model)
                state.publish(run, model, network, bool(schedule.average))
        if over:
            continue
        callbacks, validation = [budget, finite], None
        if scans:
            before = state.validation if state else ()
            validation = ScanValidation(scans, schedule.validate_every, before)
            callbacks.append(validation)
        callbacks.append(SaveRun(run, budget, finite, guard, state, validation))
        if schedule.check_every:
            callbacks.insert(0, guard)
        if verbose == "bar":
            callbacks.append(ProgressBar(budget))
        if schedule.tensorboard:
            board = str(run.folder / TENSORBOARD)
            callbacks.append(keras.callbacks.TensorBoard(board, write_graph=False))
        lines = 0 if verbose == "bar" else verbose
        options = {"initial_epoch": first, "epochs": last, "shuffle": False, "verbose": lines}
        try:
            model.fit(maps, callbacks=callbacks, **options)
        except KeyboardInterrupt:
            done = finished_epochs(run.folder)
            print_line(f"{run.folder}: interrupted after epoch {done}, from which it can resume")
            raise
    draw_curve(run.folder)


def _check_resume(run: Run, state: Checkpoint, schedule: Schedule, resume: bool) -> None:
    """Refuse to train over a checkpoint, or to go on from it with another optimizer."""
    if not resume:
        raise ValueError(
            f"{run.folder}: holds a training of {state.epochs} epochs; resume it or choose "
            "another folder"
        )
    before = run.metadata.get("schedule", {})
    for name in ("optimizer", "average", "accumulate"):
        value = getattr(schedule, name)
        if before.get(name, value) != value:
            raise ValueError(
                f"{run.folder}: cannot resume with another `{name}`. Expected: {before[name]!r}. "
                f"Received: {value!r}"
            )


def _say_where(run: Run, state: Checkpoint, verbose: int | str) -> None:
    """Say where a training goes on."""
    stopped = run.metadata.get("stopped")
    if stopped or verbose:
        why = f"; before, {stopped}" if stopped else ""
        print_line(f"{run.folder}: goes on from the checkpoint after epoch {state.epochs}{why}")


def sample_sheet(
    synthesis: keras.Model, maps: LabelMaps, path: Path, maps_per_sample: int = 1
) -> None:
    """Draw the first synthetic images of a training, with the key of each.

    Args:
        synthesis: model from label maps and keys to images, or to pairs of images.
        maps: the label maps of the training.
        path: of the PNG to write.
        maps_per_sample: how many of them make one sample.
    """
    names = [name for name in ("image", "moving", "fixed") if name in synthesis.output]
    images, titles = [], []
    for first in range(0, _SHEET_SAMPLES, maps_per_sample):
        numbers = range(first, first + maps_per_sample)
        singles = [maps.sample(number)[0] for number in numbers]
        batch = {name: np.concatenate([one[name] for one in singles]) for name in singles[0]}
        output = xla.call_once(synthesis, batch)
        for number, name in zip(numbers, names, strict=True):
            images.append(np.asarray(keras.ops.convert_to_numpy(output[name]))[0, ..., 0])
            titles.append(f"key {maps.seed}, {number}")
    figures.contact_sheet(images, path, titles)
