"""Losses for distance maps."""

from keras import ops

from synthtf.losses._tensors import Tensor, float32_pair, spatial_axes


def border_distance_loss(
    y_true: Tensor, y_pred: Tensor, focus: float = 5.0, weight: float = 0.1
) -> Tensor:
    """Return the mean squared error of distances, with more weight near the border.

    Args:
        y_true: signed distances, `(batch, *spatial, borders)`, in mm.
        y_pred: tensor of the same shape.
        focus: voxels with a true distance below this have a weight of 1, in mm.
        weight: weight of the other voxels, in [0, 1].

    Returns:
        Weighted mean over voxels, then mean over borders, `(batch,)`, in mm².

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> import numpy as np
        >>> true = np.array([0.0, 10.0]).reshape(1, 2, 1)
        >>> float(border_distance_loss(true, true + 2.0)[0])
        4.0

    Reference:
        Hoopes et al., SynthStrip: skull-stripping for any brain image, NeuroImage 2022.
    """
    y_true, y_pred = float32_pair(y_true, y_pred)
    axes = spatial_axes(y_pred)
    near = ops.cast(ops.abs(y_true) < focus, "float32")
    weights = near + weight * (1.0 - near)
    errors = ops.sum(weights * ops.square(y_true - y_pred), axes)
    return ops.mean(errors / ops.maximum(ops.sum(weights, axes), 1e-5), axis=-1)
