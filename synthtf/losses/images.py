"""Similarity of two images, as losses."""

import math

import keras
from keras import ops

from synthtf.losses._tensors import Tensor, float32_pair, spatial_axes
from synthtf.ranges import as_range, as_whole

# Number of values to bin at a time: 32 MiB per image with 32 bins.
_PIECE = 2**18


def local_ncc(a: Tensor, b: Tensor, window: int = 9) -> Tensor:
    """Return minus the squared local correlation of two images, averaged over voxels.

    Statistics are computed in a cube around each voxel, with zeros outside of the image. Negative
    correlations count as 0. Channels count as additional voxels of the cube.

    Args:
        a: image of shape `(batch, *spatial, channels)`.
        b: image of the same shape.
        window: size of the cube, in voxels per axis.

    Returns:
        Tensor of shape `(batch,)`, between -1 (equal up to brightness and contrast everywhere)
        and 0.

    Raises:
        ValueError: if the shapes differ, or the window is below 2.

    Example:
        >>> import numpy as np
        >>> image = np.random.default_rng(0).uniform(size=(1, 8, 8, 1))
        >>> bool(local_ncc(image, 2 * image + 1, window=3)[0] < -0.9)
        True

    Reference:
        Balakrishnan et al., VoxelMorph, IEEE TMI 2019, and its loss `NCC`.
    """
    window = as_whole(window, "window", 2)
    a, b = float32_pair(a, b)
    count = window ** len(spatial_axes(a)) * a.shape[-1]
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


def mutual_information(
    a: Tensor, b: Tensor, bins: int = 32, bounds: tuple[float, float] = (0.0, 1.0)
) -> Tensor:
    """Return minus the mutual information of two images: low if one predicts the other well.

    The joint distribution of intensities is a Parzen estimate. Each voxel counts in the bins of
    each image with Gaussian weights around its intensity; their standard deviation is half a bin,
    and they sum to one. The estimate is a matrix product over voxels, done in pieces. The weights
    of a piece are computed again for the gradient, so that memory holds one piece at a time.

    Inverting the contrast does not change it, and other one-to-one maps of the intensities change
    it little; for independent noise it is near 0. The windows overlap, so that a histogram gives
    slightly more information. Channels count as additional voxels.

    Args:
        a: image of shape `(batch, *spatial, channels)`; intensities outside `bounds` are clipped.
        b: image of the same shape.
        bins: number of bins of each image, evenly spaced from one bound to the other.
        bounds: lowest and highest intensity.

    Returns:
        Tensor of shape `(batch,)`, between `-log(bins)` and 0, in nats.

    Raises:
        ValueError: if the shapes differ, there are fewer than two bins, or the bounds are not
            in ascending order.

    Example:
        >>> import numpy as np
        >>> image = np.linspace(0, 1, 64).reshape(1, 8, 8, 1)
        >>> other = np.full_like(image, 0.5)
        >>> bool(mutual_information(image, 1 - image)[0] < -2)
        True
        >>> bool(abs(mutual_information(image, other)[0]) < 1e-4)
        True

    Reference:
        Wells et al., Multi-modal volume registration by maximization of mutual information,
        Medical Image Analysis 1996; Mattes et al., PET-CT image registration in the chest using
        free-form deformations, IEEE TMI 2003.
    """
    bins = as_whole(bins, "bins", 2)
    low, high = as_range(bounds, "bounds")
    if not low < high:
        raise ValueError(
            f"`bounds` must be (low, high) with low < high. Received: bounds={bounds!r}"
        )
    a, b = float32_pair(a, b)
    scale = (bins - 1) / (high - low)
    a, b = (_flat(ops.clip((x - low) * scale, 0.0, bins - 1.0)) for x in (a, b))

    def count(a: Tensor, b: Tensor) -> Tensor:
        return ops.matmul(_soft_bins(a[:, None], bins, 1), _soft_bins(b[..., None], bins, 2))

    size = a.shape[1]
    if size is None or size <= _PIECE:
        joint = count(a, b)
    else:
        count = keras.remat(count)
        starts = range(0, size, _PIECE)
        joint = sum(count(a[:, i : i + _PIECE], b[:, i : i + _PIECE]) for i in starts)
    joint = joint / ops.sum(joint, axis=(1, 2), keepdims=True)
    # Keeps the logarithm of an empty bin, and its slope, finite.
    eps = 1e-7
    information = (
        ops.log(joint + eps)
        - ops.log(ops.sum(joint, axis=2, keepdims=True) + eps)
        - ops.log(ops.sum(joint, axis=1, keepdims=True) + eps)
    )
    return -ops.sum(joint * information, axis=(1, 2))


def _flat(x: Tensor) -> Tensor:
    """Reshape to `(batch, values)`, with a static size where it is known."""
    sizes = x.shape[1:]
    if None in sizes:
        return ops.reshape(x, (ops.shape(x)[0], -1))
    return ops.reshape(x, (-1, math.prod(sizes)))


def _soft_bins(x: Tensor, bins: int, axis: int) -> Tensor:
    """Return the weights of each value, in units of bins, along a new axis of bins."""
    shape = [1, 1, 1]
    shape[axis] = bins
    centres = ops.reshape(ops.arange(bins, dtype="float32"), shape)
    # exp(-d² / 2 std²) with a std of half a bin. A softmax would take twice the time.
    weight = ops.exp(-2.0 * ops.square(x - centres))
    return weight / ops.sum(weight, axis=axis, keepdims=True)


def _box_sum(x: Tensor, window: int) -> Tensor:
    """Sum over a cube around each voxel, per channel, by one convolution per axis."""
    channels = x.shape[-1]
    ndim = len(x.shape) - 2
    for axis in range(ndim):
        shape = [1] * ndim
        shape[axis] = window
        kernel = ops.reshape(ops.eye(channels, dtype=x.dtype), (*[1] * ndim, channels, channels))
        kernel = ops.broadcast_to(kernel, (*shape, channels, channels))
        x = ops.conv(x, kernel, padding="same", data_format="channels_last")
    return x
