"""Losses that compare features of voxels with each other."""

from keras import ops

from synthtf.losses._tensors import Tensor, float32


def similarities(features: Tensor) -> Tensor:
    """Return the cosine of the angle between each two rows of features.

    Args:
        features: `(batch, rows, channels)`.

    Returns:
        Tensor of shape `(batch, rows, rows)`, in [-1, 1]; 0 for a row of zeros.

    Example:
        >>> import numpy as np
        >>> rows = np.array([[[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]])
        >>> [round(float(x)) for x in similarities(rows)[0, 0]]
        [1, 0, -1]
    """
    features = float32(features)
    size = ops.sqrt(ops.sum(ops.square(features), axis=-1, keepdims=True) + 1e-12)
    unit = features / size
    return ops.matmul(unit, ops.transpose(unit, (0, 2, 1)))


def contrastive_loss(features: Tensor, classes: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the supervised contrastive loss of rows of features.

    Each row is an anchor. Another row of its class is a positive. Its loss is the mean over its
    positives of minus the log of the softmax, over all rows but itself, of the cosine similarity
    divided by a temperature. Anchors without a positive do not count.

    Args:
        features: `(batch, rows, channels)`, of any length.
        classes: `(batch, rows)`, integer.
        temperature: the lower, the more the most similar rows of other classes count; above 0.

    Returns:
        Mean over anchors, `(batch,)`; 0 for a sample without any positive.

    Raises:
        ValueError: if the shapes do not fit, or the temperature is not above 0.

    Example:
        >>> import numpy as np
        >>> rows = np.array([[[1.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
        >>> alike, mixed = np.array([[0, 0, 1, 1]]), np.array([[0, 1, 0, 1]])
        >>> bool(contrastive_loss(rows, alike)[0] < contrastive_loss(rows, mixed)[0])
        True

    Reference:
        Khosla et al., Supervised contrastive learning, NeurIPS 2020, equation 2; for voxels of
        synthetic images: Dey et al., Learning general-purpose biomedical volume representations
        using randomized synthesis, ICLR 2025.
    """
    if not temperature > 0:
        raise ValueError(f"`temperature` must be above 0. Received: temperature={temperature!r}")
    features, classes = float32(features), ops.convert_to_tensor(classes)
    if len(features.shape) != 3 or len(classes.shape) != 2:
        raise ValueError(
            "`features` must have the shape (batch, rows, channels), and `classes` (batch, rows). "
            f"Received: {tuple(features.shape)} and {tuple(classes.shape)}"
        )
    itself = ops.eye(features.shape[1], dtype="float32")
    logits = similarities(features) / temperature - 1e9 * itself
    same = ops.cast(classes[:, :, None] == classes[:, None, :], "float32") * (1 - itself)
    number = ops.sum(same, axis=-1)
    of_each = ops.sum(same * ops.log_softmax(logits, axis=-1), axis=-1)
    loss = -of_each / ops.maximum(number, 1.0)
    anchors = ops.sum(ops.cast(number > 0, "float32"), axis=-1)
    return ops.sum(loss, axis=-1) / ops.maximum(anchors, 1.0)
