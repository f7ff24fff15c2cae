"""Losses, for any number of spatial axes, computed in float32.

Classes are `keras.losses.Loss`es, for `compile` and for the task models; each sample has its own
loss, which changing another sample of the batch leaves alone. For the cross-entropy alone,
`keras.losses.CategoricalCrossentropy` serves, on `(batch, *spatial, classes)`.
"""

from typing import Any

import keras
from keras import ops

Tensor = Any

_PENALTIES = ("l1", "l2")


@keras.saving.register_keras_serializable(package="synthtf")
class SoftDice(keras.losses.Loss):
    """One minus the soft Dice overlap, averaged over classes.

    For each sample and class, with t the target and p the posterior of a voxel, the overlap is
    (2 Σtp + s) / (Σt² + Σp² + s). A class that is absent from both therefore has a loss of 0; one
    that is absent from the target and predicted at a voxel or more has a loss near 1, and on the
    logits before the softmax a gradient whose absolute values add up to at most 1.

    Args:
        include_background: Whether class 0 counts, as in SynthSeg.
        smooth: s, in voxels. SynthSeg's is 1e-7.
        reduction: How Keras reduces the losses of a batch.
        name: Name of the loss.
        dtype: Data type to compute in; float32 if None.
    Input shape: one-hot labels or partial volumes, and posteriors, `(batch, *spatial, classes)`.
    Output shape: `(batch,)`, then reduced.
    Raises: ValueError if the shapes differ, or if the background is left out of a single class.
    Reference: Milletari et al., V-Net, 3DV 2016; SynthSeg's `DiceLoss` layer.
    """

    def __init__(
        self,
        include_background: bool = True,
        smooth: float = 1e-7,
        reduction: str | None = "sum_over_batch_size",
        name: str = "soft_dice",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not 0 < smooth <= 1e6:
            raise ValueError(f"smooth must be in (0, 1e6], received {smooth!r}")
        self.include_background = include_background
        self.smooth = smooth

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each sample, `(batch,)`."""
        y_true, y_pred = _float32_pair(y_true, y_pred)
        first = _first_class(y_pred, self.include_background)
        axes = _spatial_axes(y_pred)
        overlap = 2 * ops.sum(y_true * y_pred, axes)
        size = ops.sum(ops.square(y_true), axes) + ops.sum(ops.square(y_pred), axes)
        dice = (overlap + self.smooth) / (size + self.smooth)
        return 1 - ops.mean(dice[:, first:], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        return config | {"include_background": self.include_background, "smooth": self.smooth}


@keras.saving.register_keras_serializable(package="synthtf")
class DiceCrossEntropy(keras.losses.Loss):
    """`SoftDice` plus a multiple of the cross-entropy averaged over voxels.

    Args:
        weight: Of the cross-entropy, at least 0.
        include_background: Whether class 0 counts for Dice; for the cross-entropy it does.
        smooth: As of `SoftDice`.
        reduction: How Keras reduces the losses of a batch.
        name: Name of the loss.
        dtype: Data type to compute in; float32 if None.
    Input shape: one-hot labels or partial volumes, and posteriors, `(batch, *spatial, classes)`.
    Output shape: `(batch,)`, then reduced.
    Raises: ValueError if the weight is negative, or as of `SoftDice`.
    """

    def __init__(
        self,
        weight: float = 0.5,
        include_background: bool = True,
        smooth: float = 1e-7,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice_cross_entropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not weight >= 0:
            raise ValueError(f"weight must be at least 0, received {weight!r}")
        self.weight = weight
        self.dice = SoftDice(include_background, smooth)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each sample, `(batch,)`."""
        loss = self.dice.call(y_true, y_pred)
        if self.weight == 0:
            return loss
        # Before the cast: Keras on TensorFlow takes the logits from a softmax that it can see.
        y_pred = _float32(y_pred)
        entropy = keras.losses.categorical_crossentropy(_float32(y_true), y_pred)
        return loss + self.weight * ops.mean(entropy, _spatial_axes(y_pred))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {
            "weight": self.weight,
            "include_background": self.dice.include_background,
            "smooth": self.dice.smooth,
        }


@keras.saving.register_keras_serializable(package="synthtf")
class LogitsL2(keras.losses.Loss):
    """Squared distance of the logits to plus or minus a target: SynthSeg's first epoch.

    Logits shall be `target` for the class of a voxel and `-target` for the others. The squared
    differences are averaged over classes, and over voxels in proportion to one minus the target
    of class 0, so that voxels of the background hardly count.

    SynthSeg divides by the weights of the batch, of one sample in its training; here each sample
    has its own mean.

    Args:
        target: Distance of the logits from 0, above 0.
        reduction: How Keras reduces the losses of a batch.
        name: Name of the loss.
        dtype: Data type to compute in; float32 if None.
    Input shape: one-hot labels with the background first, and logits,
        `(batch, *spatial, classes)`.
    Output shape: `(batch,)`, then reduced.
    Raises: ValueError if the target is not above 0, or if the shapes differ.
    Reference: SynthSeg's `WeightedL2Loss` layer.
    """

    def __init__(
        self,
        target: float = 5.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "logits_l2",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not target > 0:
            raise ValueError(f"target must be above 0, received {target!r}")
        self.target = target

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each sample, `(batch,)`."""
        y_true, y_pred = _float32_pair(y_true, y_pred)
        axes = _spatial_axes(y_pred)
        # The small number decides for a sample that is background everywhere: its plain mean.
        # Not a sum, which graph optimisers would round away.
        weight = ops.maximum(1 - y_true[..., 0], 1e-8)
        error = ops.mean(ops.square(y_pred - self.target * (2 * y_true - 1)), axis=-1)
        return ops.sum(weight * error, axes) / ops.sum(weight, axes)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"target": self.target}


def dice_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return VoxelMorph's Dice loss, between -1 and 0.

    Unlike in `SoftDice`, the denominator sums the values, not their squares, and a class that is
    absent from both counts as an overlap of 0.

    Args:
        y_true: Tensor of shape `(batch, *spatial, classes)`, in [0, 1].
        y_pred: Tensor of the same shape.

    Returns:
        Minus the overlap averaged over classes, `(batch,)`.

    Raises:
        ValueError: If the shapes differ.
    """
    y_true, y_pred = _float32_pair(y_true, y_pred)
    axes = _spatial_axes(y_pred)
    overlap = 2 * ops.sum(y_true * y_pred, axes)
    size = ops.sum(y_true, axes) + ops.sum(y_pred, axes)
    return -ops.mean(overlap / ops.maximum(size, 1e-5), axis=-1)


def gradient_loss(displacement: Tensor, penalty: str = "l2") -> Tensor:
    """Return the roughness of a field: the mean size of its forward differences.

    Args:
        displacement: Displacement or velocity field of shape `(batch, *spatial, ndim)`.
        penalty: "l1" for absolute differences, "l2" for squared ones.

    Returns:
        Mean over voxels and components, then over axes, `(batch,)`.

    Raises:
        ValueError: If the penalty is unknown.
    """
    if penalty not in _PENALTIES:
        raise ValueError(f"penalty must be one of {_PENALTIES}, received {penalty!r}")
    field = _float32(displacement)
    size = ops.abs if penalty == "l1" else ops.square
    spatial = _spatial_axes(field)
    means = []
    for axis in spatial:
        after = tuple(slice(1, None) if a == axis else slice(None) for a in range(axis + 1))
        before = tuple(slice(None, -1) if a == axis else slice(None) for a in range(axis + 1))
        means.append(ops.mean(size(field[after] - field[before]), axis=(*spatial, -1)))
    return sum(means) / len(means)


def local_ncc(a: Tensor, b: Tensor, window: int = 9) -> Tensor:
    """Return minus the squared local correlation of two images, averaged over voxels.

    Statistics are over a cube of voxels around each, zero outside of the image. Negative
    correlations count as none. Channels are treated as more voxels of the cube.

    Args:
        a: Image of shape `(batch, *spatial, channels)`.
        b: Image of the same shape.
        window: Voxels per axis of the cube.

    Returns:
        Between -1 (equal up to brightness and contrast everywhere) and 0, `(batch,)`.

    Raises:
        ValueError: If the shapes differ, or the window is below 2.

    Reference:
        Balakrishnan et al., VoxelMorph, IEEE TMI 2019, and its loss `NCC`.
    """
    if isinstance(window, bool) or not isinstance(window, int) or window < 2:
        raise ValueError(f"window must be an integer of at least 2, received {window!r}")
    a, b = _float32_pair(a, b)
    count = window ** len(_spatial_axes(a)) * a.shape[-1]
    products = (a, b, a * a, b * b, a * b)
    products = ops.stack([ops.sum(product, axis=-1) for product in products], axis=-1)
    sums = _box_sum(products, window)
    sum_a, sum_b, sum_aa, sum_bb, sum_ab = (sums[..., i] for i in range(5))
    eps = 1e-5
    covariance = ops.maximum(sum_ab - sum_a * sum_b / count, eps)
    variance_a = ops.maximum(sum_aa - sum_a * sum_a / count, eps)
    variance_b = ops.maximum(sum_bb - sum_b * sum_b / count, eps)
    # Two quotients: the product of two small variances would leave the range of float32.
    correlation = (covariance / variance_a) * (covariance / variance_b)
    return -ops.mean(correlation, axis=tuple(range(1, len(correlation.shape))))


def _box_sum(x: Tensor, window: int) -> Tensor:
    """Sum over a cube around each voxel, per channel, by one convolution per axis."""
    channels = x.shape[-1]
    ndim = len(x.shape) - 2
    for axis in range(ndim):
        shape = [1] * ndim
        shape[axis] = window
        kernel = ops.reshape(ops.eye(channels), (*[1] * ndim, channels, channels))
        kernel = ops.broadcast_to(kernel, (*shape, channels, channels))
        x = ops.conv(x, kernel, padding="same", data_format="channels_last")
    return x


def _float32(x: Tensor) -> Tensor:
    x = ops.convert_to_tensor(x)
    # A cast to the same type would hide from Keras that posteriors come from a softmax.
    return x if keras.backend.standardize_dtype(x.dtype) == "float32" else ops.cast(x, "float32")


def _float32_pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    a, b = _float32(a), _float32(b)
    known = zip(a.shape, b.shape, strict=False)
    differ = any(m is not None and n is not None and m != n for m, n in known)
    if len(a.shape) != len(b.shape) or len(a.shape) < 3 or differ:
        raise ValueError(
            "expected two tensors of the same shape (batch, *spatial, channels), received "
            f"{tuple(a.shape)} and {tuple(b.shape)}; turn label maps into one-hot first"
        )
    return a, b


def _spatial_axes(x: Tensor) -> tuple[int, ...]:
    return tuple(range(1, len(x.shape) - 1))


def _first_class(posteriors: Tensor, include_background: bool) -> int:
    if include_background:
        return 0
    if posteriors.shape[-1] == 1:
        raise ValueError("include_background=False expects two classes or more, received one")
    return 1
