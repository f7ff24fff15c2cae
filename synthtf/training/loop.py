"""Training a combined model into a run folder: log, checkpoints, figures, resume."""

import json
import math
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from synthtf import figures, xla
from synthtf.data.label_maps import LabelMaps
from synthtf.runs.precision import in_float32
from synthtf.runs.run import Run
from synthtf.training.combined import CombinedModel
from synthtf.training.guard import GUARD, SampleGuard
from synthtf.training.progress import ProgressBar
from synthtf.training.schedule import Schedule

LOG, CHECKPOINTS = "log.csv", "checkpoints"
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
        plan = None if self.schedule.minutes is None else self.planned
        if self.run.metadata.get("planned_epochs") != plan:
            self.run.update(planned_epochs=plan)
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


class SaveRun(keras.callbacks.Callback):
    """Write the task network, the facts of the training and the learning curve, every epoch.

    The network is written in float32, in which it can be used on any machine; its weights are, in
    whatever precision it is trained. They are the moving average, if the schedule has one.

    Args:
        run: where to.
        budget: which knows the minutes.
    """

    def __init__(self, run: Run, budget: CosineBudget) -> None:
        super().__init__()
        self.run = run
        self.budget = budget
        self._network = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write."""
        self._network = self._network or in_float32(self.model.task_model)
        average = keras.callbacks.SwapEMAWeights()
        average.set_model(self.model)
        if self.budget.schedule.average:
            average.on_test_begin()
        self.run.save_model(self.model.task_model, self._network)
        if self.budget.schedule.average:
            average.on_test_end()
        self.run.update(
            epochs_done=epoch + 1,
            steps_done=int(self.model.optimizer.iterations),
            minutes_done=round(self.budget.minutes, 2),
            last_epoch={name: float(value) for name, value in (logs or {}).items()},
        )

    def on_train_end(self, logs: Any = None) -> None:
        """Draw the learning curve."""
        figures.learning_curve(self.run.folder / LOG, self.run.folder / "learning_curve.png")


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

    Writes `log.csv` (a row per epoch), `checkpoints/`, `samples.png`, `learning_curve.png`
    and after every epoch the task network; and `guard.csv` if samples have faults.

    Args:
        run: made by `Run.create`, or loaded to resume it.
        model: to train.
        maps: label maps; their epoch is set to where the training resumes.
        schedule: how long and how fast.
        resume: go on from the last checkpoint, if there is one.
        verbose: of `fit`, or "bar": one progress bar for the whole training.
        jit_compile: compile with XLA; "auto" does so where it is faster.

    Raises:
        ValueError: if the run holds a checkpoint and `resume` is not set, or if most of the
            first samples are useless, see `SampleGuard`.
    """
    done = finished_epochs(run.folder)
    if done and not resume:
        raise ValueError(
            f"{run.folder}: holds a training of {done} epochs; resume it or choose another folder"
        )
    if not done:
        (run.folder / GUARD).unlink(missing_ok=True)
        sample_sheet(model.synthesis, maps, run.folder / "samples.png", model.maps_per_sample)
    budget = CosineBudget(schedule, run, done)
    run.update(schedule=schedule.to_dict(), batch_size=maps.batch_size, steps_per_epoch=len(maps))
    if not schedule.epochs:
        run.save_model(model.task_model, in_float32(model.task_model))
        run.update(epochs_done=0, steps_done=0, minutes_done=0.0)
        return
    guard = SampleGuard(maps, run.table, run.folder, schedule.check_every)

    for warming_up, last in ((True, model.warm_up), (False, schedule.epochs)):
        first = maps.epoch = finished_epochs(run.folder)
        if first >= min(last, budget.planned or last) or (first and budget.is_over):
            continue
        model.warming_up = warming_up
        model.compile(schedule.make_optimizer(), jit_compile=jit_compile)
        backup = keras.callbacks.BackupAndRestore(
            run.folder / CHECKPOINTS, double_checkpoint=True, delete_checkpoint=False
        )
        log = keras.callbacks.CSVLogger(run.folder / LOG, append=first > 0)
        # The backup comes last: Keras rounds weights as it swaps them with their average.
        callbacks = [budget, keras.callbacks.TerminateOnNaN(), log, SaveRun(run, budget), backup]
        if schedule.check_every:
            callbacks.insert(0, guard)
        if verbose == "bar":
            callbacks.append(ProgressBar(budget))
        lines = 0 if verbose == "bar" else verbose
        try:
            model.fit(maps, epochs=last, callbacks=callbacks, shuffle=False, verbose=lines)
        finally:
            # Keras leaves it open after an error, and has none before the training begins.
            if getattr(log, "csv_file", None) is not None:
                log.csv_file.close()


def finished_epochs(folder: Path) -> int:
    """Number of epochs that the last checkpoint in a run folder stands for, 0 if there is none."""
    path = Path(folder) / CHECKPOINTS / "training_metadata.json"
    if not path.is_file():
        return 0
    try:
        return int(json.loads(path.read_text())["epoch"])
    except (ValueError, KeyError):
        raise ValueError(f"{path}: not a checkpoint that can be read") from None


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
