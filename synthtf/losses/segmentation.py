"""Losses of segmentation."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf.losses._tensors import Tensor, float32, float32_pair, spatial_axes
from synthtf.ranges import as_number


@keras.saving.register_keras_serializable(package="synthtf")
class SoftDice(keras.losses.Loss):
    """One minus the soft Dice overlap, averaged over classes.

    For each sample and class, with t the target and p the posterior of a voxel, the overlap is
    (2 Σtp + s) / (Σt² + Σp² + s). A class that is absent from both has a loss of 0. A class that is
    absent from the target and predicted in at least one voxel has a loss near 1; the absolute
    values of its gradient with respect to the logits add up to at most 1.

    Args:
        include_background: whether class 0 counts, as in SynthSeg.
        smooth: s, in voxels, as in SynthSeg.
        class_weights: how much each class counts in the mean, above 0. None: all the same.
        reduction: how Keras reduces the losses of a batch.
        name: name of the loss.
        dtype: data type of the computation.
    Input shape: one-hot labels or partial volumes, and posteriors, `(batch, *spatial, classes)`.
    Output shape: `(batch,)`, then reduced.
    Raises: ValueError if the shapes or the number of weights differ, a weight is not above 0, or
        the background is the only class and left out.

    Example:
        >>> import numpy as np
        >>> labels = np.eye(2)[np.array([[0, 1, 1]])]
        >>> float(SoftDice()(labels, labels))
        0.0

    Reference: Milletari et al., V-Net, 3DV 2016; SynthSeg's `DiceLoss` layer.
    """

    def __init__(
        self,
        include_background: bool = True,
        smooth: float = 1e-7,
        class_weights: Sequence[float] | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "soft_dice",
        dtype: Any = "float32",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not 0 < smooth <= 1e6:
            raise ValueError(f"`smooth` must lie in (0, 1e6]. Received: smooth={smooth!r}")
        self.include_background = include_background
        self.smooth = smooth
        self.class_weights = None
        if class_weights is not None:
            weights = (as_number(w, "class_weights", 1e-6, 1e6) for w in class_weights)
            self.class_weights = tuple(weights)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each sample, `(batch,)`."""
        y_true, y_pred = float32_pair(y_true, y_pred)
        first = _first_class(y_pred, self.include_background)
        axes = spatial_axes(y_pred)
        overlap = 2 * ops.sum(y_true * y_pred, axes)
        size = ops.sum(ops.square(y_true), axes) + ops.sum(ops.square(y_pred), axes)
        dice = (overlap + self.smooth) / (size + self.smooth)
        if self.class_weights is None:
            return 1 - ops.mean(dice[:, first:], axis=-1)
        if len(self.class_weights) != y_pred.shape[-1]:
            raise ValueError(
                f"`class_weights` must have {y_pred.shape[-1]} values, one per class. "
                f"Received: {len(self.class_weights)}"
            )
        weights = self.class_weights[first:]
        return 1 - ops.sum(weights * dice[:, first:], axis=-1) / sum(weights)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {
            "include_background": self.include_background,
            "smooth": self.smooth,
            "class_weights": self.class_weights,
        }


@keras.saving.register_keras_serializable(package="synthtf")
class DiceCrossEntropy(keras.losses.Loss):
    """`SoftDice` plus a multiple of the cross-entropy averaged over voxels.

    Args:
        weight: weight of the cross-entropy, at least 0.
        include_background: whether class 0 counts for Dice; it always counts for the cross-entropy.
        smooth: the same as in `SoftDice`.
        class_weights: the same as in `SoftDice`; the cross-entropy has none.
        reduction: how Keras reduces the losses of a batch.
        name: name of the loss.
        dtype: data type of the computation.
    Input shape: one-hot labels or partial volumes, and posteriors, `(batch, *spatial, classes)`.
    Output shape: `(batch,)`, then reduced.
    Raises: ValueError if the weight is negative, or as in `SoftDice`.

    Example:
        >>> import numpy as np
        >>> labels = np.eye(2, dtype="float32")[np.array([[0, 1, 1]])]
        >>> bool(DiceCrossEntropy()(labels, labels) < 1e-3)
        True
    """

    def __init__(
        self,
        weight: float = 0.5,
        include_background: bool = True,
        smooth: float = 1e-7,
        class_weights: Sequence[float] | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice_cross_entropy",
        dtype: Any = "float32",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.weight = as_number(weight, "weight", 0)
        self.dice = SoftDice(include_background, smooth, class_weights)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each sample, `(batch,)`."""
        loss = self.dice.call(y_true, y_pred)
        if self.weight == 0:
            return loss
        # Before the cast: Keras on TensorFlow takes the logits from a softmax that it can see.
        y_pred = float32(y_pred)
        entropy = keras.losses.categorical_crossentropy(float32(y_true), y_pred)
        return loss + self.weight * ops.mean(entropy, spatial_axes(y_pred))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {
            "weight": self.weight,
            "include_background": self.dice.include_background,
            "smooth": self.dice.smooth,
            "class_weights": self.dice.class_weights,
        }


@keras.saving.register_keras_serializable(package="synthtf")
class LogitsL2(keras.losses.Loss):
    """Squared distance of the logits to plus or minus a target: SynthSeg's first epoch.

    The logits should be `target` for the class of a voxel and `-target` for the others. The squared
    differences are averaged over classes, and over voxels with a weight of one minus the target
    of class 0, so that background voxels hardly count.

    SynthSeg divides by the weights of the whole batch, which is one sample in its training. Here
    each sample has its own mean.

    Args:
        target: distance of the logits from 0, above 0.
        reduction: how Keras reduces the losses of a batch.
        name: name of the loss.
        dtype: data type of the computation.
    Input shape: one-hot labels with the background first, and logits,
        `(batch, *spatial, classes)`.
    Output shape: `(batch,)`, then reduced.
    Raises: ValueError if the target is not above 0, or if the shapes differ.

    Example:
        >>> import numpy as np
        >>> labels = np.eye(2)[np.array([[0, 1, 1]])]
        >>> float(LogitsL2(target=5.0)(labels, 10 * labels - 5))
        0.0

    Reference: SynthSeg's `WeightedL2Loss` layer.
    """

    def __init__(
        self,
        target: float = 5.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "logits_l2",
        dtype: Any = "float32",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not target > 0:
            raise ValueError(f"`target` must be above 0. Received: target={target!r}")
        self.target = target

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each sample, `(batch,)`."""
        y_true, y_pred = float32_pair(y_true, y_pred)
        axes = spatial_axes(y_pred)
        # With the small number, a sample that is background everywhere gets its plain mean. A
        # sum with it would be rounded away by graph optimisers.
        weight = ops.maximum(1 - y_true[..., 0], 1e-8)
        error = ops.mean(ops.square(y_pred - self.target * (2 * y_true - 1)), axis=-1)
        return ops.sum(weight * error, axes) / ops.sum(weight, axes)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"target": self.target}


def _first_class(posteriors: Tensor, include_background: bool) -> int:
    if include_background:
        return 0
    if posteriors.shape[-1] == 1:
        raise ValueError(
            "`include_background` must be True for a single class. "
            "Received: include_background=False"
        )
    return 1
