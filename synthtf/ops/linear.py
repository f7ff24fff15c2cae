"""Linear, separable steps as one matrix per axis and sample.

Upsampling a coarse field, blurring, and down- then upsampling all have this
form, and consecutive steps multiply into one matrix.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.elementwise import in_whole_vectors

Tensor = Any

_TILE = 40

# TensorFlow multiplies smaller matrices with another kernel in a batch of one than in a
# larger one, and the last bits differ.
_SMALL_PRODUCT = 128 * 128


@takes_arrays
def apply_along_axes(
    x: Tensor, matrices: Sequence[Tensor | None], bandwidth: Sequence[int | None] | None = None
) -> Tensor:
    """Multiply every line along each spatial axis by that axis's matrix.

    Args:
        x: tensor of shape `(batch, *spatial, channels)`.
        matrices: one per spatial axis, `(batch, n_out, n_in)` or `(1, n_out, n_in)`,
            or None to leave the axis alone.
        bandwidth: per axis, how far from the diagonal a square matrix has non-zero entries, in
            voxels, which saves work on long axes; None for a dense matrix. Default: all dense.

    Returns:
        Tensor of shape `(batch, *n_out, channels)`.

    Example:
        >>> from keras import ops
        >>> image = ops.ones((1, 4, 4, 1))
        >>> mean = ops.full((1, 1, 4), 0.25)
        >>> tuple(apply_along_axes(image, [mean, None]).shape)
        (1, 1, 4, 1)
    """
    bandwidth = bandwidth or [None] * len(matrices)
    for axis, (matrix, width) in enumerate(zip(matrices, bandwidth, strict=True), start=1):
        if matrix is not None:
            x = _apply_along_axis(x, matrix, axis, width)
    return x


def _apply_along_axis(x: Tensor, matrix: Tensor, axis: int, bandwidth: int | None) -> Tensor:
    shape = ops.shape(x)
    rows, columns = ops.shape(matrix)[1:]
    x = ops.reshape(x, (-1, math.prod(shape[1:axis]), columns, math.prod(shape[axis + 1 :])))
    if bandwidth is None or rows != columns or columns <= 2 * _TILE:
        x = _multiply(x, matrix)
    else:
        tiles = []
        tile = math.ceil(rows / math.ceil(rows / _TILE))  # of equal size
        for start in range(0, rows, tile):
            first = max(0, start - bandwidth)
            last = min(columns, start + tile + bandwidth)
            block = matrix[:, start : start + tile, first:last]
            tiles.append(_multiply(x[:, :, first:last], block))
        x = ops.concatenate(tiles, axis=2)
    return ops.reshape(x, (-1, *shape[1:axis], rows, *shape[axis + 1 :]))


def _multiply(x: Tensor, matrix: Tensor) -> Tensor:
    """Apply `(batch, m, n)` to `x` of shape `(batch, before, n, after)`."""
    before, columns, after = x.shape[1:]
    rows = matrix.shape[1]
    if None in (before, columns, after, rows):  # in a graph for inputs of any shape
        return _matmul(matrix[:, None], x)
    if (before == 1 or after == 1) and before * rows * columns * after <= _SMALL_PRODUCT:
        return ops.sum(matrix[:, None, :, :, None] * x[:, :, None], axis=3)
    if after == 1:
        x = ops.reshape(x, (-1, before, columns))
        return _matmul(x, ops.transpose(matrix, (0, 2, 1)))[..., None]
    if before == 1:
        return _matmul(matrix, ops.reshape(x, (-1, columns, after)))[:, None]
    return ops.reshape(_matmul(matrix[:, None], x), (-1, before, rows, after))


def _matmul(a: Tensor, b: Tensor) -> Tensor:
    """Multiply matrices whose leading axes broadcast.

    TensorFlow replaces the products that Keras makes by those of oneDNN. These split a batch
    between threads in the middle of a sample, and the last bits of a sample depend on its
    place. This product is left alone, and it is as fast at these sizes.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.raw_ops.BatchMatMulV3(x=a, y=b, Tout=tf.float32)
    return ops.matmul(a, b)


def matrix_product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply matrices so that a sample has the same bits in any batch size.

    Args:
        a: `(batch, m, k)`.
        b: `(batch, k, n)`.

    Returns:
        Tensor of shape `(batch, m, n)`.

    Example:
        >>> from keras import ops
        >>> product = matrix_product(ops.array([[[1.0, 2.0]]]), ops.array([[[3.0], [4.0]]]))
        >>> ops.convert_to_numpy(product).tolist()
        [[[11.0]]]
    """
    if a.shape[1] * a.shape[2] * b.shape[2] <= _SMALL_PRODUCT:
        return ops.sum(a[:, :, :, None] * b[:, None], axis=2)
    return _matmul(a, b)


def blur_matrix(std: Tensor, size: int) -> Tensor:
    """Return the matrix of a Gaussian blur along one axis.

    Weights `exp(-d² / 2 std²)` up to `ceil(4 std)` voxels away, normalised over the
    voxels inside the volume. A `std` of zero gives the identity.

    Args:
        std: `(batch,)`, standard deviation in voxels.
        size: number of voxels along the axis.

    Returns:
        float32 tensor of shape `(batch, size, size)`.

    Example:
        >>> from keras import ops
        >>> print(ops.convert_to_numpy(blur_matrix(ops.array([1.0]), 3))[0].round(2))
        [[0.57 0.35 0.08]
         [0.27 0.45 0.27]
         [0.08 0.35 0.57]]
    """
    std = ops.maximum(ops.cast(std, "float32"), 1e-3)[:, None, None]
    distance = ops.abs(_column(size) - _row(size))
    weight = in_whole_vectors(ops.exp, -0.5 * ops.square(distance / std))
    weight = ops.where(distance <= ops.ceil(4 * std), weight, 0.0)
    return weight / ops.sum(weight, axis=-1, keepdims=True)


def resample_matrix(factor: Tensor, size: int) -> Tensor:
    """Return the matrix that downsamples by a factor, then upsamples again, both linearly.

    The coarse samples lie at voxels `0, factor, 2 factor, ...`; the last one is
    clamped to the border. A factor of one gives the identity.

    Args:
        factor: `(batch,)`, at least one.
        size: number of voxels along the axis.

    Returns:
        float32 tensor of shape `(batch, size, size)`.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(resample_matrix(ops.array([2.0]), 3))[0].tolist()
        [[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0]]
    """
    factor = ops.cast(factor, "float32")[:, None, None]
    position = _column(size) / factor
    below = ops.floor(position)
    weight = position - below
    voxel = _row(size)

    def sample(index: Tensor) -> Tensor:
        at = ops.minimum(index * factor, size - 1.0)
        return ops.relu(1.0 - ops.abs(at - voxel))

    return (1.0 - weight) * sample(below) + weight * sample(below + 1.0)


def upsample_matrix(num_points: Tensor, size: int, capacity: int) -> Tensor:
    """Return the matrix of linear interpolation from a few control points.

    The first and the last control point lie on the border.

    Args:
        num_points: `(batch,)`, number of control points in use, from 1 to `capacity`.
        size: number of voxels along the axis.
        capacity: number of control points that the lattice holds.

    Returns:
        float32 tensor of shape `(batch, size, capacity)`.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(upsample_matrix(ops.array([2]), 3, 2))[0].tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    offset = control_offset(num_points, size, capacity)
    return ops.relu(1.0 - ops.abs(offset))


def control_offset(num_points: Tensor, size: int, capacity: int) -> Tensor:
    """Return the signed distance of each voxel from each control point, in cells of the lattice.

    Args:
        num_points: `(batch,)`, number of control points in use.
        size: number of voxels along the axis.
        capacity: number of control points that the lattice holds.

    Returns:
        float32 tensor of shape `(batch, size, capacity)`.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(control_offset(ops.array([2]), 3, 2))[0].tolist()
        [[0.0, -1.0], [0.5, -0.5], [1.0, 0.0]]
    """
    cells = ops.cast(num_points, "float32")[:, None, None] - 1.0
    return _column(size) * (cells / max(size - 1, 1)) - _row(capacity)


def _column(size: int) -> Tensor:
    return ops.reshape(ops.arange(size, dtype="float32"), (1, size, 1))


def _row(size: int) -> Tensor:
    return ops.reshape(ops.arange(size, dtype="float32"), (1, 1, size))
