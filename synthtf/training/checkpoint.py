"""The state of a training on disk: one file, replaced in one piece after every epoch."""

import contextlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from synthtf import figures
from synthtf.data.delimited import write_rows
from synthtf.data.whole_files import remove_leftovers, write_whole, written_aside
from synthtf.runs.precision import in_float32
from synthtf.runs.run import Run
from synthtf.training.combined import CombinedModel
from synthtf.training.guard import GUARD, FiniteGuard, SampleGuard
from synthtf.training.scores import VALIDATION, best_epoch, score_table

BEST = "best"
"""Folder of a run that holds the network which did best on the real scans, a run itself."""
LOG, CURVE = "log.csv", "learning_curve.png"
CHECKPOINTS = "checkpoints"
"""Folder of a run that is needed to resume its training only."""

_FILE, _STATE = "state.npz", "state"


@dataclass(frozen=True)
class Checkpoint:
    """All that a training needs to go on, and all that its run folder says of it.

    The file is what counts: log, list of faults, facts and network of the run folder are made
    from it, after it was written and again when a training is resumed.

    Attributes:
        facts: of `run.json`: "epochs_done", "steps_done", "minutes_done" and "last_epoch".
        rows: of the log, one per epoch.
        faults: text of `guard.csv`; empty if there is none.
        guard: counts of the guard.
        validation: rows of `validation.csv`, see `ScanValidation`.
        values: of the variables of model and optimizer, see `variables_of`.
    """

    facts: Mapping[str, Any]
    rows: tuple[Mapping[str, float], ...] = ()
    faults: str = ""
    guard: Mapping[str, Any] = field(default_factory=dict)
    validation: tuple[Mapping[str, Any], ...] = ()
    values: tuple[np.ndarray, ...] = ()

    @property
    def epochs(self) -> int:
        """Epochs that are done."""
        return self.facts["epochs_done"]

    @classmethod
    def read(cls, folder: Path) -> "Checkpoint | None":
        """Read the checkpoint of a run folder.

        Returns:
            The checkpoint; None if no epoch was finished.

        Raises:
            ValueError: if the file is damaged.
        """
        path = Path(folder) / CHECKPOINTS / _FILE
        if not path.is_file():
            return None
        try:
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                state = json.loads(bytes(file[_STATE]).decode())
                values = tuple(file[str(n)] for n in range(len(file.files) - 1))
            lists = {name: tuple(state[name]) for name in ("rows", "validation")}
            return cls(values=values, **state | lists)
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path}: not a checkpoint that can be read; copy it again, or train into another "
                "folder"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the file, and make sure that it is on the disk before it replaces the last one.

        Raises:
            OSError: if it cannot be written; the last one then stays.
        """
        names = ("facts", "rows", "faults", "guard", "validation")
        state = {name: getattr(self, name) for name in names}
        arrays = {str(n): value for n, value in enumerate(self.values)}
        arrays[_STATE] = np.frombuffer(json.dumps(state).encode(), "uint8")
        with written_aside(Path(folder) / CHECKPOINTS / _FILE) as aside, open(aside, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())

    def restore(self, model: CombinedModel) -> None:
        """Set the variables of a compiled model and its optimizer.

        Raises:
            ValueError: if they are others than those of the checkpoint.
        """
        variables = variables_of(model)
        if [tuple(v.shape) for v in variables] != [value.shape for value in self.values]:
            raise ValueError("cannot resume with another network or optimizer than before")
        for variable, value in zip(variables, self.values, strict=True):
            variable.assign(value)

    def publish(self, run: Run, model: CombinedModel, network: keras.Model, average: bool) -> None:
        """Write what the run folder says of the training; `run.json` comes last.

        Args:
            run: where to.
            model: with the variables of this checkpoint.
            network: of the layers of its task network, in float32; gets the weights.
            average: write the moving average of the weights.
        """
        with averaged(model, average):
            run.save_model(model.task_model, network)
        best = best_epoch(self.validation)
        if best is not None and best["epoch"] == self.epochs - 1:
            facts = {**run.metadata, **self.facts, "validation": best}
            Run.create(run.folder / BEST, run.table, run.recipe, facts).save_model(network)
        self.publish_texts(run.folder)
        run.metadata.pop("stopped", None)
        run.update(**self.facts)

    def publish_texts(self, folder: Path) -> None:
        """Write the log and the list of faults."""
        names = ["epoch", *sorted({name for row in self.rows for name in row} - {"epoch"})]
        write_rows(folder / LOG, [names, *([row.get(n, "") for n in names] for row in self.rows)])
        if self.faults:
            write_whole(folder / GUARD, self.faults.encode(errors="surrogateescape"))
        else:
            (folder / GUARD).unlink(missing_ok=True)
        if self.validation:
            write_rows(folder / VALIDATION, score_table(self.validation))


def finished_epochs(folder: Path) -> int:
    """Number of epochs that the checkpoint in a run folder stands for, 0 if there is none.

    Raises:
        ValueError: if the file is damaged.
    """
    found = Checkpoint.read(folder)
    return found.epochs if found else 0


def variables_of(model: CombinedModel) -> list[keras.Variable]:
    """Variables that a training changes: of the model but for its metrics, and of its optimizer."""
    metrics = {id(variable) for variable in model.metrics_variables}
    own = [variable for variable in model.variables if id(variable) not in metrics]
    return own + list(model.optimizer.variables)


def draw_curve(folder: Path) -> None:
    """Draw the learning curve of a run folder, in one piece, if there is a log."""
    if (folder / LOG).is_file():
        with written_aside(folder / CURVE) as aside:
            figures.learning_curve(folder / LOG, aside)


def clean(folder: Path) -> None:
    """Remove what a killed training left half written."""
    for place in (folder, folder / BEST, folder / CHECKPOINTS):
        remove_leftovers(place)


@contextlib.contextmanager
def averaged(model: CombinedModel, average: bool) -> Iterator[None]:
    """Give a model the moving average of its weights for a while; Keras' own swap rounds them."""
    variables = model.trainable_variables if average else []
    kept = [_value(variable) for variable in variables]
    if average:
        model.optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)


def _value(variable: keras.Variable) -> np.ndarray:
    """Copy a variable; bfloat16, which NumPy's files do not know, becomes float32."""
    value = np.array(keras.ops.convert_to_numpy(variable))
    return value if value.dtype.kind in "biuf" else value.astype("float32")


class SaveRun(keras.callbacks.Callback):
    """Write the checkpoint after every epoch, then what the run folder says of the training.

    The task network is written in float32, in which it can be used on any machine; its weights
    are, in whatever precision it is trained. They are the moving average, if the schedule has one.

    Args:
        run: where to.
        budget: which knows the minutes.
        finite: which stops the training if a weight is not finite.
        guard: which looks at samples.
        before: the checkpoint that the training goes on from, if any.
        validation: which looks at real scans, if any do.
    """

    def __init__(
        self,
        run: Run,
        budget: Any,
        finite: FiniteGuard,
        guard: SampleGuard,
        before: Checkpoint | None,
        validation: Any = None,
    ) -> None:
        super().__init__()
        self.validation = validation
        self.run, self.budget, self.finite, self.guard = run, budget, finite, guard
        self.rows = before.rows if before else ()
        self._network: keras.Model | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write.

        Raises:
            ValueError: if a weight is not finite.
            OSError: if a file cannot be written.
        """
        values = tuple(_value(variable) for variable in variables_of(self.model))
        if not all(np.isfinite(value).all() for value in values):
            self.finite.stop("weights")
        last = {name: float(value) for name, value in (logs or {}).items()}
        path = self.finite.faults.path
        self.rows = (*self.rows, {"epoch": epoch, **last})
        checkpoint = Checkpoint(
            facts={
                "epochs_done": epoch + 1,
                "steps_done": int(_value(self.model.optimizer.iterations)),
                "minutes_done": round(self.budget.minutes, 2),
                "last_epoch": last,
            },
            rows=self.rows,
            faults=path.read_text(encoding="utf-8", errors="surrogateescape")
            if path.is_file()
            else "",
            guard=self.guard.state,
            validation=self.validation.rows if self.validation else (),
            values=values,
        )
        checkpoint.write(self.run.folder)
        self._network = self._network or in_float32(self.model.task_model)
        average = bool(self.budget.schedule.average)
        checkpoint.publish(self.run, self.model, self._network, average)
