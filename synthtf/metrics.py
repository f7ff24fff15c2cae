"""Metrics to follow a training, and measures of a registration.

Functions give one number per sample, `(batch,)`. A transform is a displacement field `(batch,
*spatial, ndim)` in voxels or an affine matrix `(batch, ndim + 1, ndim + 1)` about the centre of
the volume, as in `synthtf.ops`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from synthtf.ops.fields import compose, jacobian_determinant
from synthtf.ops.resample import (
    affine_positions,
    axis_grid,
    check_transform,
    clamp,
    positions,
    sample_linear,
)
from synthtf.ranges import Range, as_spacing, per_axis

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


@keras.saving.register_keras_serializable(package="synthtf")
class FoldingFraction(keras.metrics.Mean):
    """Share of voxels where a displacement field folds, averaged over samples.

    Args:
        name: Name of the metric.
        dtype: Data type of the sums; float32 if None.
    Input shape: anything, and displacement fields `(batch, *spatial, ndim)`, in voxels.

    Example:
        >>> metric = FoldingFraction()
        >>> metric.update_state(None, np.zeros((1, 4, 4, 2), "float32"))
        >>> float(metric.result())
        0.0
    """

    def __init__(self, name: str = "folding_fraction", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            y_true: Not used.
            y_pred: Displacement fields, `(batch, *spatial, ndim)`, in voxels.
            sample_weight: Weight of each sample in the average, `(batch,)`, or None.
        """
        super().update_state(folding_fraction(y_pred), sample_weight)


def folding_fraction(displacement: Tensor) -> Tensor:
    """Return the share of voxels where the Jacobian determinant of a warp is not positive.

    Args:
        displacement: Displacement field of shape `(batch, *spatial, ndim)`, in voxels.

    Returns:
        In [0, 1], `(batch,)`.

    Raises:
        ValueError: If the shape is not that of a field.

    Example:
        >>> float(folding_fraction(np.zeros((1, 4, 4, 2)))[0])
        0.0
    """
    field = ops.cast(displacement, "float32")
    check_transform(field, len(field.shape) - 2)
    return _mean_per_sample(ops.cast(jacobian_determinant(field) <= 0, "float32"))


def target_registration_error(
    transform: Tensor,
    reference: Tensor,
    points: Tensor | None = None,
    spacing: Range = 1.0,
    shape: Sequence[int] | None = None,
) -> Tensor:
    """Return the mean distance between where two transforms send the same points.

    Args:
        transform: Displacement field or affine matrix.
        reference: Likewise; the true one.
        points: Tensor of shape `(batch, num, ndim)`, in voxels from the first voxel. None: all
            voxels.
        spacing: Millimetres per voxel, a scalar or one per axis.
        shape: Spatial shape of the volume, needed for two matrices, or for a field on a grid
            coarser than it. Default: the grid of the field.

    Returns:
        In mm, `(batch,)`.

    Raises:
        ValueError: If shapes do not fit, or two matrices come without `shape`.

    Example:
        >>> true = np.zeros((1, 8, 8, 2), "float32")
        >>> error = target_registration_error(true + [3.0, 4.0], true, spacing=2)
        >>> float(error[0])
        10.0

    Reference:
        Fitzpatrick et al., Predicting error in rigid-body point-based registration, IEEE TMI
        1998, for the name; landmarks of an anatomist serve as points as well.
    """
    transforms = [ops.cast(t, "float32") for t in (transform, reference)]
    shape = _volume_shape(transforms, shape)
    if points is None:
        ends = [positions(t, shape) for t in transforms]
    else:
        points = ops.cast(points, "float32")
        if len(points.shape) != 3 or points.shape[-1] != len(shape):
            raise ValueError(
                f"expected points (batch, num, {len(shape)}), received {tuple(points.shape)}"
            )
        ends = [_send(points, t, shape) for t in transforms]
    return _mean_length([p - q for p, q in zip(*ends, strict=True)], spacing)


def inverse_consistency_error(
    forward: Tensor, backward: Tensor, spacing: Range = 1.0, shape: Sequence[int] | None = None
) -> Tensor:
    """Return how far from where it was a voxel comes back: the mean of `|u(x) + v(x + u(x))|`.

    Outside of a field its border values hold.

    Args:
        forward: Displacement field u or affine matrix.
        backward: Likewise, v.
        spacing: Millimetres per voxel, a scalar or one per axis.
        shape: Spatial shape of the volume, as for `target_registration_error`.

    Returns:
        In mm, `(batch,)`.

    Raises:
        ValueError: If shapes do not fit, or two matrices come without `shape`.

    Example:
        >>> shift = np.full((1, 8, 8, 2), [3.0, 0.0], "float32")
        >>> float(inverse_consistency_error(shift, -shift)[0])
        0.0

    Reference:
        Christensen and Johnson, Consistent image registration, IEEE TMI 2001.
    """
    transforms = [ops.cast(t, "float32") for t in (forward, backward)]
    shape = _volume_shape(transforms, shape)
    back = positions(compose(transforms[1], transforms[0], shape), shape)
    ndim = len(shape)
    moved = [p - axis_grid(n, d, ndim) for d, (p, n) in enumerate(zip(back, shape, strict=True))]
    return _mean_length(moved, spacing)


def _volume_shape(transforms: Sequence[Tensor], shape: Sequence[int] | None) -> tuple[int, ...]:
    """Give the spatial shape that transforms work on, and check that they do."""
    fields = [t for t in transforms if len(t.shape) > 3]
    if shape is None and not fields:
        raise ValueError("two matrices do not tell the size of the volume: give `shape`")
    shape = tuple(fields[0].shape[1:-1] if shape is None else shape)
    for transform in transforms:
        check_transform(transform, len(shape))
    return shape


def _send(points: Tensor, transform: Tensor, shape: Sequence[int]) -> list[Tensor]:
    """Send points through a transform: one tensor `(batch, num, 1, ...)` per axis."""
    ndim = len(shape)
    spread = (-1, points.shape[1] or ops.shape(points)[1], *(1,) * (ndim - 1))
    parts = [ops.reshape(points[..., d], spread) for d in range(ndim)]
    if len(transform.shape) == 3:
        return affine_positions(transform, parts, shape)
    grid = tuple(transform.shape[1:-1])
    at = [
        clamp(p * ((m - 1) / max(n - 1, 1)), m) for p, n, m in zip(parts, shape, grid, strict=True)
    ]
    flat = [ops.reshape(transform[..., d], (-1,)) for d in range(ndim)]
    moved = sample_linear(flat, at, grid, ops.shape(transform)[0])
    return [p + u for p, u in zip(parts, moved, strict=True)]


def _mean_length(components: Sequence[Tensor], spacing: Range) -> Tensor:
    """Mean Euclidean length of vectors, in mm, from one tensor of voxels per axis."""
    scale = per_axis(as_spacing(spacing), len(components))
    squares = sum(ops.square(c * mm) for c, mm in zip(components, scale, strict=True))
    return _mean_per_sample(ops.sqrt(squares))


def _mean_per_sample(x: Tensor) -> Tensor:
    return ops.mean(x, axis=tuple(range(1, len(x.shape))))
