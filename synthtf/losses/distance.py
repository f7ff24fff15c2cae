"""Losses of maps of distances."""

from keras import ops

from synthtf.losses._tensors import Tensor, float32_pair, spatial_axes


def border_distance_loss(
    y_true: Tensor, y_pred: Tensor, focus: float = 5.0, weight: float = 0.1
) -> Tensor:
    """Return the mean squared error of distances, focused on the surroundings of the border.

    Args:
        y_true: Signed distances, `(batch, *spatial, borders)`, in mm.
        y_pred: Tensor of the same shape.
        focus: Where the true distance is below this many mm, voxels count fully.
        weight: What other voxels count, in [0, 1].

    Returns:
        Weighted mean over voxels, then mean over borders, `(batch,)`, in mm².

    Raises:
        ValueError: If the shapes differ.

    Reference:
        Hoopes et al., SynthStrip: skull-stripping for any brain image, NeuroImage 2022.
    """
    y_true, y_pred = float32_pair(y_true, y_pred)
    axes = spatial_axes(y_pred)
    weights = ops.where(ops.abs(y_true) < focus, 1.0, weight)
    errors = ops.sum(weights * ops.square(y_true - y_pred), axes)
    return ops.mean(errors / ops.maximum(ops.sum(weights, axes), 1e-5), axis=-1)
