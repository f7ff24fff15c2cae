"""Metrics to follow a training, and measures of a registration.

Functions return one number per sample, `(batch,)`. A transform is a displacement field `(batch,
*spatial, ndim)` in voxels or an affine matrix `(batch, ndim + 1, ndim + 1)` about the centre of
the volume, as in `synthtf.ops`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from synthtf.ops.fields import compose, jacobian_determinant
from synthtf.ops.resampling import (
    affine_positions,
    axis_grid,
    check_transform,
    clamp,
    positions,
    sample_linear,
)
from synthtf.ranges import Range, as_spacing, as_whole, per_axis

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf")
class DiceMetric(keras.metrics.Metric):
    """Dice overlap of the most probable class with the label map, per structure.

    The overlap of a structure is averaged over the samples whose label map holds it. Class 0, the
    background, has an overlap too, but does not count in the mean.

    Args:
        labels: names of the classes, in the order of the channels, or their number.
        name: name of the metric.
        dtype: data type of the sums.
    Input shape: class indices `(batch, *spatial, 1)`, integers, and posteriors
        `(batch, *spatial, classes)`. Voxels whose index is not a class do not count.
    Raises: ValueError if there are fewer than two classes, or if shapes do not fit.

    Example:
        >>> metric = DiceMetric(["background", "brain"])
        >>> metric.update_state([[[[0], [1]]]], [[[[0.9, 0.1], [0.2, 0.8]]]])
        >>> float(metric.result())
        1.0
    """

    def __init__(
        self, labels: Sequence[str] | int, name: str = "dice", dtype: Any = "float32"
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        counted = not hasattr(labels, "__len__")
        self.labels = as_whole(labels, "labels") if counted else tuple(map(str, labels))
        self.num_classes = self.labels if counted else len(self.labels)
        if self.num_classes < 2:
            raise ValueError(
                f"`labels` must be the names of two or more classes, or their number. "
                f"Received: labels={labels!r}"
            )
        options = {"shape": (self.num_classes,), "initializer": "zeros", "dtype": self.dtype}
        self.overlap = self.add_weight(name="overlap", **options)
        self.samples = self.add_weight(name="samples", **options)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            y_true: class indices, `(batch, *spatial, 1)`, integers.
            y_pred: posteriors or logits, `(batch, *spatial, classes)`.
            sample_weight: `(batch,)`, weight of each sample in the average. Default: all the same.
        """
        matched, true, predicted = self._count(y_true, y_pred)
        weight = ops.cast(true > 0, self.dtype)
        if sample_weight is not None:
            weight *= ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))
        dice = 2 * matched / ops.maximum(true + predicted, 1)
        self.overlap.assign_add(ops.sum(weight * dice, axis=0))
        self.samples.assign_add(ops.sum(weight, axis=0))

    def result(self) -> Tensor:
        """Return the mean over the structures seen so far; 0 if there were none."""
        seen = ops.cast(self.samples[1:] > 0, self.dtype)
        return ops.sum(self._mean(0.0)[1:]) / ops.maximum(ops.sum(seen), 1)

    def per_label(self) -> np.ndarray:
        """Return the overlap of each class, `(classes,)`; NaN for a class that did not occur."""
        return ops.convert_to_numpy(self._mean(float("nan")))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        labels = self.labels if isinstance(self.labels, int) else list(self.labels)
        return super().get_config() | {"labels": labels}

    def _mean(self, absent: float) -> Tensor:
        """Average each class over samples; classes that did not occur get `absent`."""
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
                f"`y_true` must be class indices (batch, *spatial, 1) and `y_pred` posteriors "
                f"(batch, *spatial, {classes}). Received: y_true with shape "
                f"{tuple(y_true.shape)}, y_pred with shape {tuple(y_pred.shape)}"
            )
        batch = ops.shape(y_pred)[0]
        true = ops.reshape(ops.cast(y_true, "int32"), (batch, -1))
        predicted = ops.reshape(ops.argmax(y_pred, axis=-1), (batch, -1))
        known = ops.logical_and(true >= 0, true < classes)
        # One table per sample: a row per class and one for all other values, a column per
        # prediction.
        row = ops.where(known, true, classes) + ops.arange(batch, dtype="int32")[:, None] * (
            classes + 1
        )
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
        name: name of the metric.
        dtype: data type of the sums.
    Input shape: anything, and displacement fields `(batch, *spatial, ndim)`, in voxels.

    Example:
        >>> metric = FoldingFraction()
        >>> metric.update_state(None, np.zeros((1, 4, 4, 2), "float32"))
        >>> float(metric.result())
        0.0
    """

    def __init__(self, name: str = "folding_fraction", dtype: Any = "float32") -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Add a batch.

        Args:
            y_true: not used.
            y_pred: displacement fields, `(batch, *spatial, ndim)`, in voxels.
            sample_weight: `(batch,)`, weight of each sample in the average. Default: all the same.
        """
        super().update_state(folding_fraction(y_pred), sample_weight)


def folding_fraction(displacement: Tensor) -> Tensor:
    """Return the share of voxels where the Jacobian determinant of a warp is not positive.

    Args:
        displacement: displacement field of shape `(batch, *spatial, ndim)`, in voxels.

    Returns:
        Tensor of shape `(batch,)`, in [0, 1].

    Raises:
        ValueError: if the shape is not that of a field.

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
    """Return the mean distance between the places to which two transforms send the same points.

    Args:
        transform: displacement field or affine matrix.
        reference: the true transform, a displacement field or affine matrix.
        points: `(batch, num, ndim)`, in voxels from the first voxel. Default: all voxels.
        spacing: mm per voxel, a scalar or one per axis.
        shape: spatial shape of the volume, needed for two matrices, or for a field whose grid is
            coarser than the volume. Default: the grid of the field.

    Returns:
        Tensor of shape `(batch,)`, in mm.

    Raises:
        ValueError: if shapes do not fit, or two matrices come without `shape`.

    Example:
        >>> true = np.zeros((1, 8, 8, 2), "float32")
        >>> error = target_registration_error(true + [3.0, 4.0], true, spacing=2)
        >>> float(error[0])
        10.0

    Reference:
        Fitzpatrick et al., Predicting error in rigid-body point-based registration, IEEE TMI
        1998, for the name. The points may be anatomical landmarks, too.
    """
    transforms = [ops.cast(t, "float32") for t in (transform, reference)]
    shape = _volume_shape(transforms, shape)
    if points is None:
        ends = [positions(t, shape) for t in transforms]
    else:
        points = ops.cast(points, "float32")
        if len(points.shape) != 3 or points.shape[-1] != len(shape):
            raise ValueError(
                f"`points` must have the shape (batch, num, {len(shape)}). "
                f"Received: points with shape {tuple(points.shape)}"
            )
        ends = [_send(points, t, shape) for t in transforms]
    return _mean_length([p - q for p, q in zip(*ends, strict=True)], spacing)


def inverse_consistency_error(
    forward: Tensor, backward: Tensor, spacing: Range = 1.0, shape: Sequence[int] | None = None
) -> Tensor:
    """Return how far a voxel ends from where it started: the mean of `|u(x) + v(x + u(x))|`.

    Outside of its grid, a field keeps its border values.

    Args:
        forward: displacement field u or affine matrix.
        backward: displacement field v or affine matrix.
        spacing: mm per voxel, a scalar or one per axis.
        shape: spatial shape of the volume, as in `target_registration_error`.

    Returns:
        Tensor of shape `(batch,)`, in mm.

    Raises:
        ValueError: if shapes do not fit, or two matrices come without `shape`.

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
    """Return the spatial shape that transforms work on, after checking that they fit."""
    fields = [t for t in transforms if len(t.shape) > 3]
    if shape is None and not fields:
        raise ValueError("`shape` must be given for two matrices. Received: shape=None")
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
    """Return the mean Euclidean length of vectors in mm, from one tensor of voxels per axis."""
    scale = per_axis(as_spacing(spacing), len(components))
    squares = sum(ops.square(c * mm) for c, mm in zip(components, scale, strict=True))
    return _mean_per_sample(ops.sqrt(squares))


def _mean_per_sample(x: Tensor) -> Tensor:
    return ops.mean(x, axis=tuple(range(1, len(x.shape))))
