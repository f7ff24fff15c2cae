"""The k-space of an image, one encoding axis at a time, as matrices.

Multiplying the k-space lines of one axis by weights is linear and acts along that axis alone:
`F⁻¹ diag(w) F`, a complex circulant matrix. Two real matrix products per volume replace the
Fourier transform.

Lines are numbered by ascending frequency, in the order of `numpy.fft.fftshift`: line `k` of `n`
has `k - n // 2` periods per field of view.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.linear import apply_along_axes, matrix_product

Tensor = Any


def line_frequency(size: int) -> Tensor:
    """Return the frequency of each k-space line, in periods per field of view.

    Args:
        size: number of lines.

    Returns:
        int32 tensor of shape `(size,)`.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(line_frequency(4)).tolist()
        [-2, -1, 0, 1]
    """
    return ops.arange(size, dtype="int32") - size // 2


def central_lines(proportion: Tensor, size: int) -> Tensor:
    """Return which k-space lines lie around the centre: `|f| <= proportion · n / 2`.

    Args:
        proportion: `(batch,)`, in [0, 1]; the centre itself always counts.
        size: number of lines.

    Returns:
        bool tensor of shape `(batch, size)`.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(central_lines(ops.array([0.5]), 4))[0].tolist()
        [False, True, True, True]
    """
    distance = ops.cast(ops.abs(line_frequency(size)), "float32")
    return distance[None] <= ops.cast(proportion, "float32")[:, None] * (size / 2)


def line_filter(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the matrices that multiply the k-space lines of one axis by real weights.

    Entry `(x, y)` is `h(x - y)`, where `h(d) = 1/n Σ_k w_k exp(2πi f_k d / n)`.

    Args:
        weights: `(batch, n)`, one per line, by ascending frequency.

    Returns:
        Real and imaginary part of the matrices, each float32 of shape `(batch, n, n)`. The
        imaginary part vanishes where the weights of `f` and `-f` are equal.

    Example:
        >>> from keras import ops
        >>> real, imaginary = line_filter(ops.ones((1, 3)))
        >>> bool(ops.max(ops.abs(real[0] - ops.eye(3))) < 1e-6)
        True
    """
    size = weights.shape[-1]
    offset = ops.arange(size, dtype="int32")
    cosine, sine = _wave(offset[:, None] * line_frequency(size)[None], size)
    weights = ops.cast(weights, "float32")[:, None] / size
    circulant = ops.mod(offset[:, None] - offset[None], size)
    return tuple(
        ops.take(ops.sum(weights * part[None], axis=-1), circulant, axis=1)
        for part in (cosine, sine)
    )


def filter_lines(image: Tensor, weights: Sequence[Tensor], axis: Tensor) -> tuple[Tensor, Tensor]:
    """Multiply the k-space lines of one axis per sample by weights.

    An axis that no sample of the batch has chosen costs nothing.

    Args:
        image: `(batch, *spatial, channels)`, real.
        weights: one tensor `(batch, n)` per spatial axis, by ascending frequency.
        axis: int32 tensor `(batch,)`, the spatial axis whose lines are weighted.

    Returns:
        Real and imaginary part of the image, each of its shape.

    Example:
        >>> from keras import ops
        >>> weights = [ops.array([[0.0, 0.0, 1.0, 0.0]]), ops.ones((1, 2))]  # the mean of axis 0
        >>> image = ops.reshape(ops.arange(8, dtype="float32"), (1, 4, 2, 1))
        >>> real, _ = filter_lines(image, weights, ops.array([0]))
        >>> print(ops.convert_to_numpy(real)[0, 0, :, 0].round(4))
        [3. 4.]
    """
    parts = (image, image)
    for d, weight in enumerate(weights):
        parts = _filter_where(parts, weight, ops.equal(axis, d), d)
    return parts


def _filter_where(parts: tuple, weights: Tensor, chosen: Tensor, axis: int) -> tuple:
    """Filter the samples that have chosen this axis; the matrix of the others is the identity."""

    def apply() -> tuple:
        size = weights.shape[-1]
        identity = ops.eye(size, dtype="float32")[None]
        matrices = [None] * (len(parts[0].shape) - 2)
        out = []
        for part, matrix in zip(parts, line_filter(weights), strict=True):
            matrices[axis] = ops.where(chosen[:, None, None], matrix, identity)
            out.append(apply_along_axes(part, matrices))
        return tuple(out)

    return tuple(ops.cond(ops.any(chosen), apply, lambda: parts))


def magnitude(real: Tensor, imaginary: Tensor) -> Tensor:
    """Return the magnitude of a complex image.

    Args:
        real: tensor of any shape.
        imaginary: tensor of the same shape.

    Returns:
        Tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> float(magnitude(ops.array(3.0), ops.array(4.0)))
        5.0
    """
    return ops.sqrt(ops.square(real) + ops.square(imaginary))


@takes_arrays
def plane_waves(
    frequency: Tensor, amplitude: Tensor, phase: Tensor, shape: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Sum plane waves: what single points of k-space contribute to the image.

    `Σ_s a_s exp(i φ_s) Π_d exp(2πi f_sd x_d / n_d)`: a product of one wave per axis.

    Args:
        frequency: int32 tensor `(batch, waves, ndim)`, in periods per field of view.
        amplitude: `(batch, waves)`.
        phase: `(batch, waves)`, in turns.
        shape: spatial shape of the result.

    Returns:
        Real and imaginary part, each `(batch, *shape)`.

    Example:
        >>> from keras import ops
        >>> one = ops.ones((1, 1))
        >>> real, _ = plane_waves(ops.array([[[1, 0]]]), one, 0 * one, (4, 2))
        >>> print(ops.convert_to_numpy(real)[0, :, 0].round(4) + 0.0)
        [ 1.  0. -1.  0.]
    """
    axes = []
    for d, size in enumerate(shape):
        voxel = ops.arange(size, dtype="int32")
        axes.append(_wave(frequency[:, None, :, d] * voxel[None, :, None], size))
    # A thousandth of a turn is finer than anything seen, and a look-up has the same bits
    # at any place of a batch.
    turn = _wave(ops.cast(ops.floor(phase * 1000), "int32"), 1000)
    real, imaginary = ((amplitude * part)[:, None] for part in turn)
    for cosine, sine in axes[:-1]:
        real, imaginary = _outer(real, imaginary, cosine, sine)
    cosine, sine = (ops.transpose(part, (0, 2, 1)) for part in axes[-1])
    left = ops.concatenate([real, imaginary], axis=-1)
    return tuple(
        ops.reshape(matrix_product(left, ops.concatenate(right, axis=1)), (-1, *shape))
        for right in ([cosine, -sine], [sine, cosine])
    )


def _outer(real: Tensor, imaginary: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
    """Return the complex outer product of `(batch, m, waves)` and `(batch, n, waves)`."""
    real, imaginary = real[:, :, None], imaginary[:, :, None]
    cosine, sine = cosine[:, None], sine[:, None]
    shape = (-1, real.shape[1] * cosine.shape[2], real.shape[3])
    return (
        ops.reshape(real * cosine - imaginary * sine, shape),
        ops.reshape(real * sine + imaginary * cosine, shape),
    )


def _wave(step: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of `2π step / size` for integers `step`, exact to the last bit."""
    angle = 2 * np.pi * np.arange(size) / size
    step = ops.mod(step, size)
    return tuple(
        ops.take(ops.convert_to_tensor(table.astype("float32")), step, axis=0)
        for table in (np.cos(angle), np.sin(angle))
    )
