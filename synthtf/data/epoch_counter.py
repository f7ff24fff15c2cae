"""Which epoch's sample numbers a batch index stands for, however Keras prefetches."""

import threading


class EpochCounter:
    """Turn the batch indices that Keras asks for into epochs, so that no sample repeats.

    Keras hands a dataset nothing but batch indices and the end of each epoch. Two of its habits
    (trainers/epoch_iterator.py and data_adapters/py_dataset_adapter.py of Keras 3.15) decide on
    the rules here:

    - `fit` ends an epoch once before its first one, after it has drawn some batches to build the
      model, or none if that is built. Hence every end counts: what was drawn before the first end
      belongs to epoch `k`, and the epochs of `fit` are `k + 1`, `k + 2`, ....
    - With `steps_per_epoch` smaller than the dataset, the pass goes on in the next epoch, and
      threads have prefetched some of it before the epoch ended. Hence a pass keeps the epoch that
      it began in: a new one counts from the first index that is drawn a second time.

    Keras' own workers make this impossible: batches that they prefetched to build the model, or
    for an epoch that ended early, are handed out at the start of the next. `LabelMaps` has
    threads of its own instead (`ReadAhead`).

    Args:
        epoch: epochs that have ended before.
    """

    def __init__(self, epoch: int = 0) -> None:
        """Start at an epoch."""
        self.epoch = epoch
        self._current = epoch
        self._drawn: set[int] = set()
        self._fresh = True
        self._lock = threading.Lock()

    def draw(self, index: int) -> int:
        """Return the epoch that a batch index belongs to, and note that it was drawn.

        Args:
            index: batch of the pass.

        Returns:
            The epoch; the same for the same index until an epoch ends.
        """
        with self._lock:
            if index in self._drawn and self.epoch > self._current:
                self._current = self.epoch
                self._drawn.clear()
            self._drawn.add(index)
            return self._current

    def end(self) -> None:
        """Count an epoch that ended."""
        with self._lock:
            self.epoch += 1
            if self._fresh:
                self._fresh = False
                self._current = self.epoch
                self._drawn.clear()
