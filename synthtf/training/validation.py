"""Validation on real scans while a network is trained on synthetic images."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from synthtf.data.scan_truths import LabelledScan, labelled_scans
from synthtf.evaluation.averages import mean
from synthtf.inference.scan_dice import MEASURED, scan_dice
from synthtf.runs.precision import in_float32
from synthtf.runs.run import Run
from synthtf.training.schedule import Schedule
from synthtf.training.scores import average_scans, best_epoch, domain_scores


class ScanValidation(keras.callbacks.Callback):
    """Measure the Dice on real scans now and then, as a trained network is used on them.

    The Dice is that of `synthtf segment` or `synthtf strip` followed by `synthtf evaluate`. A
    network of two dimensions, which these do not take, is used on images of two dimensions, or on
    each axial slice of a scan, see `segment_slices`. Where
    a scan has a brain mask alone, it is compared with the structures that the label table has as
    brain. The log of the epoch gets `val_dice`, the mean over domains, and `val_dice_DOMAIN`. The
    weights are those that a run would get: the moving average, if the optimizer keeps one.

    Args:
        scans: table of scans, see `synthtf.data.labelled_scans`, or a list of `LabelledScan`.
        every: epochs between validations. The last epoch is validated, too.
        rows: what an earlier part of the training found.

    Attributes:
        rows: Dice of each epoch, domain and structure, the mean over the scans of the domain.

    Raises:
        ValueError: during `fit`, if the model neither segments nor strips, or a scan does not fit.

    Example:
        model.fit(maps, epochs=100, callbacks=[ScanValidation("scans.csv", every=10)])
    """

    def __init__(
        self,
        scans: str | os.PathLike | Iterable[LabelledScan],
        every: int = 5,
        rows: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__()
        self.scans = labelled_scans(scans)
        self.every = every
        self.rows = tuple(rows)
        self._run: Run | None = None

    @property
    def best(self) -> dict[str, Any] | None:
        """The epoch whose worst domain was the best; see `best_epoch`."""
        return best_epoch(self.rows)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Validate, if it is the turn of this epoch or nothing comes after it."""
        is_last = self.model.stop_training or epoch + 1 == self.params.get("epochs")
        if (epoch + 1) % self.every and not is_last:
            return
        rows = self.measure(epoch)
        scores = domain_scores(rows)
        self.rows = (*self.rows, *rows)
        if logs is not None:
            logs["val_dice"] = mean(scores.values())
            logs.update({f"val_dice_{domain}": score for domain, score in scores.items()})

    def measure(self, epoch: int = 0) -> list[dict[str, Any]]:
        """Measure the Dice of the network as it is.

        Args:
            epoch: of the rows.

        Returns:
            Rows with "epoch", "domain", "label", "name", "scans" and "dice".
        """
        from synthtf.training.checkpoint import averaged

        if self._run is None:
            run = self.model.run
            network = in_float32(self.model.task_model)
            self._run = Run(None, run.table, run.recipe, run.metadata, network)
        optimizer = getattr(self.model, "optimizer", None)
        with averaged(self.model, bool(getattr(optimizer, "use_ema", False))):
            self._run.task_model.set_weights(self.model.task_model.get_weights())
            found = [(scan.domain, scan_dice(scan, self._run)) for scan in self.scans]
        return average_scans(epoch, found)


def check_validation(task: str, schedule: Schedule) -> list[LabelledScan]:
    """Read the scans that a training shall be validated on.

    Args:
        task: name of what is trained.
        schedule: names them, or none.

    Raises:
        ValueError: if what it finds in a scan cannot be compared, or as `labelled_scans`.
    """
    if schedule.validate is None:
        return []
    if task not in MEASURED:
        raise ValueError(
            f"`validate` must be left out for the task {task}; it is for {' and '.join(MEASURED)}. "
            f"Received: validate={schedule.validate!r}"
        )
    return labelled_scans(schedule.validate)
