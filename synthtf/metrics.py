"""Metrics to follow a training."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf")
class DiceMetric(keras.metrics.Metric):
    """Dice overlap of the most probable class with the label map, per structure.

    The overlap of a structure is averaged over the samples in which the label map has it. Class
    0, the background, has an overlap, but does not count in the mean.

    Args:
        labels: Names of the classes, in the order of the channels, or their number.
        name: Name of the metric.
        dtype: Data type of the sums; float32 if None.
    Input shape: class indices `(batch, *spatial, 1)`, integers, and posteriors
        `(batch, *spatial, classes)`. Voxels with an index that is no class do not count.
    Raises: ValueError if there are fewer than two classes, or if shapes do not fit.

    Example:
        >>> metric = DiceMetric(["background", "brain"])
        >>> metric.update_state([[[[0], [1]]]], [[[[0.9, 0.1], [0.2, 0.8]]]])
        >>> float(metric.result())
        1.0
    """

    def __init__(self, labels: Sequence[str] | int, name: str = "dice", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        counted = isinstance(labels, int)
        self.labels = labels if counted else tuple(map(str, labels))
        self.num_classes = labels if counted else len(labels)
        if self.num_classes < 2:
            raise ValueError(f"labels must name or count two classes or more, received {labels!r}")
        shape = (self.num_classes,)
        self.overlap = self.add_weight(shape=shape, initializer="zeros", name="overlap")
        self.samples = self.add_weight(shape=shape, initializer="zeros", name="samples")

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            y_true: Class indices, `(batch, *spatial, 1)`, integers.
            y_pred: Posteriors or logits, `(batch, *spatial, classes)`.
            sample_weight: Weight of each sample in the average, `(batch,)`, or None.
        """
        matched, true, predicted = self._count(y_true, y_pred)
        weight = ops.cast(true > 0, self.dtype)
        if sample_weight is not None:
            weight *= ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))
        dice = 2 * matched / ops.maximum(true + predicted, 1)
        self.overlap.assign_add(ops.sum(weight * dice, axis=0))
        self.samples.assign_add(ops.sum(weight, axis=0))

    def result(self) -> Tensor:
        """Return the mean over the structures seen so far, 0 if there was none."""
        seen = ops.cast(self.samples[1:] > 0, self.dtype)
        return ops.sum(self._mean(0.0)[1:]) / ops.maximum(ops.sum(seen), 1)

    def per_label(self) -> np.ndarray:
        """Return the overlap of each class, `(classes,)`, NaN where it did not occur."""
        return ops.convert_to_numpy(self._mean(float("nan")))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        labels = self.labels if isinstance(self.labels, int) else list(self.labels)
        return super().get_config() | {"labels": labels}

    def _mean(self, absent: float) -> Tensor:
        """Average each class over samples; `absent` stands for those that did not occur."""
        samples = ops.convert_to_tensor(self.samples)
        seen = samples > 0
        mean = self.overlap / ops.where(seen, samples, ops.ones_like(samples))
        return ops.where(seen, mean, ops.full_like(mean, absent))

    def _count(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Count the voxels in both, in the label map and in the prediction, `(batch, classes)`."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        classes = self.num_classes
        fits = len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1
        if not fits or y_pred.shape[-1] != classes:
            raise ValueError(
                f"expected class indices (batch, *spatial, 1) and posteriors (batch, *spatial, "
                f"{classes}), received {tuple(y_true.shape)} and {tuple(y_pred.shape)}"
            )
        batch = ops.shape(y_pred)[0]
        true = ops.reshape(ops.cast(y_true, "int32"), (batch, -1))
        predicted = ops.reshape(ops.argmax(y_pred, axis=-1), (batch, -1))
        known = ops.logical_and(true >= 0, true < classes)
        # One table for the batch: a last row for what is no class, and a column per prediction.
        row = ops.where(known, true, classes) + ops.arange(batch)[:, None] * (classes + 1)
        cell = ops.reshape(row * classes + ops.cast(predicted, "int32"), (-1,))
        cells = batch * (classes + 1) * classes
        table = ops.segment_sum(ops.ones_like(cell), cell, num_segments=cells)
        table = ops.reshape(table, (batch, classes + 1, classes))[:, :classes]
        table = ops.cast(table, self.dtype)
        matched = ops.diagonal(table, axis1=1, axis2=2)
        return matched, ops.sum(table, axis=2), ops.sum(table, axis=1)
