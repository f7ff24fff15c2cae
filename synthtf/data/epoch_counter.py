"""The epoch that a batch index belongs to, however Keras prefetches."""

import threading


class EpochCounter:
    """Turn the batch indices that Keras asks for into epochs, so that no sample repeats.

    A dataset learns only batch indices and the end of each epoch from Keras. Two of its habits
    (trainers/epoch_iterator.py and data_adapters/py_dataset_adapter.py of Keras 3.15) lead to the
    rules here:

    - `fit` ends an epoch once before its first one, after drawing some batches to build the
      model, or none if the model is built. Therefore every end counts: batches drawn before the
      first end belong to epoch `k`, and the epochs of `fit` are `k + 1`, `k + 2`, ....
    - With `steps_per_epoch` smaller than the dataset, the pass goes on in the next epoch, and
      threads have prefetched some of it before the epoch ended. Therefore a pass keeps the epoch
      in which it began: a new pass starts at the first index that is drawn a second time.

    Keras' own workers make this impossible: they prefetch batches to build the model, or for an
    epoch that ends early, and hand them out at the start of the next. `LabelMaps` has its own
    threads instead (`ReadAhead`).

    Args:
        epoch: number of epochs that have ended before.
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
            index: index of the batch.

        Returns:
            The epoch. It stays the same for an index until an epoch ends.
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
