"""Losses of tubes, such as vessels."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf.losses._tensors import Tensor, float32_pair, spatial_axes
from synthtf.losses.segmentation import SoftDice
from synthtf.ops.skeleton import soft_skeleton
from synthtf.ranges import as_number, as_whole


@keras.saving.register_keras_serializable(package="synthtf")
class DiceCentreLine(keras.losses.Loss):
    """`SoftDice`, mixed with how well centre lines are found, which is to keep tubes in one piece.

    With S the soft skeleton, t the target and p the posterior, the centre lines have a precision
    Σ S(p) t / Σ S(p) and a sensitivity Σ S(t) p / Σ S(t). clDice is the harmonic mean of the two,
    averaged over classes without the background.

    Args:
        weight: share of one minus clDice, in [0, 1].
        iterations: erosions of the soft skeleton, at least the radius of the thickest tube in
            voxels.
        smooth: added to numerators and denominators, in voxels.
        class_weights: as for `SoftDice`; clDice has none.
        reduction: how Keras reduces the losses of a batch.
        name: name of the loss.
        dtype: data type of the computation.
    Input shape: one-hot labels with the background first, and posteriors,
        `(batch, *spatial, classes)`, 2D or 3D.
    Output shape: `(batch,)`, then reduced.
    Raises: ValueError if an argument is out of range, or the shapes differ.

    Example:
        >>> import numpy as np
        >>> tube = np.zeros((1, 9, 9), int)
        >>> tube[:, 3:6] = 1
        >>> labels = np.eye(2, dtype="float32")[tube]
        >>> bool(DiceCentreLine()(labels, labels) < 1e-3)
        True

    Reference: Shit et al., clDice - a novel topology-preserving loss function for tubular
        structure segmentation, CVPR 2021.
    """

    def __init__(
        self,
        weight: float = 0.5,
        iterations: int = 5,
        smooth: float = 1.0,
        class_weights: Sequence[float] | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice_centre_line",
        dtype: Any = "float32",
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.weight = as_number(weight, "weight", 0, 1)
        self.iterations = as_whole(iterations, "iterations", minimum=0)
        self.smooth = as_number(smooth, "smooth", 1e-7)
        self.dice = SoftDice(class_weights=class_weights)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each sample, `(batch,)`."""
        true, found = (x[..., 1:] for x in float32_pair(y_true, y_pred))
        precision = self._share(soft_skeleton(found, self.iterations), true)
        sensitivity = self._share(soft_skeleton(true, self.iterations), found)
        centred = ops.mean(2 * precision * sensitivity / (precision + sensitivity), axis=-1)
        return (1 - self.weight) * self.dice.call(y_true, y_pred) + self.weight * (1 - centred)

    def _share(self, skeleton: Tensor, of: Tensor) -> Tensor:
        axes = spatial_axes(skeleton)
        both, alone = ops.sum(skeleton * of, axes), ops.sum(skeleton, axes)
        return (both + self.smooth) / (alone + self.smooth)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {
            "weight": self.weight,
            "iterations": self.iterations,
            "smooth": self.smooth,
            "class_weights": self.dice.class_weights,
        }
