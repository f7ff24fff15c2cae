"""One progress bar for a whole training."""

import sys
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from synthtf.training.loop import CosineBudget

_FORMAT = "{percentage:3.0f}% |{bar}| {elapsed}, about {remaining} left{postfix}"
# Where no terminal redraws the line, such as a log file, a line now and then is enough.
_SECONDS, _SECONDS_IN_FILE = 0.5, 30.0


class ProgressBar(keras.callbacks.Callback):
    """A bar that fills with the steps or the minutes of a training, whichever are over first.

    Next to it stand the time and the loss and Dice so far in the epoch.

    Args:
        budget: Which knows the minutes.
    """

    def __init__(self, budget: "CosineBudget") -> None:
        super().__init__()
        self.budget = budget
        self._bar: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Draw an empty bar."""
        from tqdm import tqdm

        interval = _SECONDS if sys.stderr.isatty() else _SECONDS_IN_FILE
        self._bar = tqdm(total=100.0, bar_format=_FORMAT, mininterval=interval, maxinterval=1e9)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Fill the bar."""
        done = (self._epoch + (batch + 1) / self.params["steps"]) / (
            self.budget.planned or self.budget.schedule.epochs
        )
        if self.budget.schedule.minutes is not None:
            done = max(done, self.budget.minutes / self.budget.schedule.minutes)
        shown = {
            name: f"{float((logs or {})[name]):.3f}" for name in ("loss", "dice") if name in logs
        }
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(min(100.0, 100 * done) - self._bar.n)

    def on_train_end(self, logs: Any = None) -> None:
        """Leave the bar as it is."""
        self._bar.close()
