"""Smooth random fields, min-max normalised to [0, 1] per sample and channel.

Each takes its random numbers as an argument. The number of control points may
differ per sample and axis: the lattice is drawn at its largest size and each
sample uses its first points.

Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025.
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.linear import apply_along_axes, blur_matrix, control_offset
from synthtf.xla import fused

Tensor = Any


def value_noise(values: Tensor, control_points: Tensor, shape: Sequence[int]) -> Tensor:
    """Return value noise: random values on a lattice, upsampled linearly.

    Args:
        values: `(batch, *lattice, channels)`, uniform random numbers.
        control_points: int tensor `(batch, ndim)`, points in use per axis.
        shape: spatial shape of the result.

    Returns:
        float32 tensor of shape `(batch, *shape, channels)`, in [0, 1].

    Example:
        >>> from keras import ops
        >>> values = ops.array([[[2.0], [6.0]]])
        >>> ops.convert_to_numpy(value_noise(values, ops.array([[2]]), (3,)))[0, :, 0].tolist()
        [0.0, 0.5, 1.0]
    """
    return normalize(upsample_lattice(values, control_points, shape))


def upsample_lattice(values: Tensor, control_points: Tensor, shape: Sequence[int]) -> Tensor:
    """Upsample a lattice linearly; its used corner points lie on the volume's corners.

    Args:
        values: `(batch, *lattice, channels)`.
        control_points: int tensor `(batch, ndim)`, points in use per axis.
        shape: spatial shape of the result.

    Returns:
        float32 tensor of shape `(batch, *shape, channels)`.

    Example:
        >>> from keras import ops
        >>> values = ops.array([[[2.0], [6.0], [0.0]]])  # with two points in use
        >>> ops.convert_to_numpy(upsample_lattice(values, ops.array([[2]]), (3,)))[0, :, 0].tolist()
        [2.0, 4.0, 6.0]
    """
    weights = [
        ops.relu(1.0 - ops.abs(control_offset(control_points[:, d], n, values.shape[d + 1])))
        for d, n in enumerate(shape)
    ]
    return apply_along_axes(values, weights)


def gaussian_noise(noise: Tensor, std: Tensor) -> Tensor:
    """Return white noise smoothed by a Gaussian kernel.

    Smoothing shrinks the range of the noise. It is rescaled to keep `max |F|`
    before the range is normalised, which leaves the sign of the field as drawn.

    Args:
        noise: `(batch, *spatial, channels)`, standard normal.
        std: `(batch, ndim)`, standard deviation of the kernel, in voxels.

    Returns:
        float32 tensor of the same shape, in [0, 1].

    Example:
        >>> from keras import ops
        >>> impulse = ops.array([[[0.0], [4.0], [0.0]]])
        >>> print(ops.convert_to_numpy(gaussian_noise(impulse, ops.array([[0.0]])))[0, :, 0])
        [0. 1. 0.]
    """
    return normalize(smooth_noise(noise, std))


def smooth_noise(noise: Tensor, std: Tensor) -> Tensor:
    """Blur white noise and rescale it to the largest magnitude that it had.

    Args:
        noise: `(batch, *spatial, channels)`.
        std: `(batch, ndim)`, standard deviation of the kernel, in voxels.

    Returns:
        float32 tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> impulse = ops.array([[[0.0], [4.0], [0.0]]])
        >>> print(ops.convert_to_numpy(smooth_noise(impulse, ops.array([[1.0]])))[0, :, 0].round(2))
        [3.08 4.   3.08]
    """
    axes = tuple(range(1, len(noise.shape) - 1))
    blurred = apply_along_axes(noise, [blur_matrix(std[:, d - 1], noise.shape[d]) for d in axes])
    before = ops.max(ops.abs(noise), axis=axes, keepdims=True)
    after = ops.max(ops.abs(blurred), axis=axes, keepdims=True)
    return blurred * (before / ops.maximum(after, 1e-7))


@takes_arrays
def perlin_noise(
    gradients: Tensor, control_points: Tensor, shape: Sequence[int], fade: bool = True
) -> Tensor:
    """Return Perlin noise: dot products of lattice gradients with offsets, blended.

    The weight of a control point and its offset both factor over the axes, so the
    field is a sum of `ndim` separable upsamplings.

    Args:
        gradients: `(batch, *lattice, channels, ndim)`; scaled to unit length.
        control_points: int tensor `(batch, ndim)`, points in use per axis.
        shape: spatial shape of the result.
        fade: blend with `6t⁵ - 15t⁴ + 10t³` instead of linearly. Default True.

    Returns:
        float32 tensor of shape `(batch, *shape, channels)`, in [0, 1].

    Example:
        >>> from keras import ops
        >>> gradients = ops.array([[[[1.0]], [[-1.0]]]])  # rising, then falling
        >>> ops.convert_to_numpy(perlin_noise(gradients, ops.array([[2]]), (3,)))[0, :, 0].tolist()
        [0.0, 1.0, 0.0]
    """
    return normalize(_perlin(gradients, control_points, shape, fade))


@takes_arrays
def _perlin(
    gradients: Tensor, control_points: Tensor, shape: Sequence[int], fade: bool = True
) -> Tensor:
    ndim = len(shape)
    length = ops.sqrt(ops.sum(ops.square(gradients), axis=-1, keepdims=True))
    gradients = gradients / ops.maximum(length, 1e-7)
    offsets = [
        control_offset(control_points[:, d], n, gradients.shape[d + 1]) for d, n in enumerate(shape)
    ]
    weights = [ops.relu(1.0 - ops.abs(offset)) for offset in offsets]
    if fade:
        weights = [w * w * w * (w * (w * 6.0 - 15.0) + 10.0) for w in weights]
    out = 0.0
    for d in range(ndim):
        matrices = list(weights)
        matrices[d] = weights[d] * offsets[d]
        out = out + apply_along_axes(gradients[..., d], matrices)
    return out


@takes_arrays
def fractal_noise(
    gradients: Sequence[Tensor],
    control_points: Sequence[Tensor],
    shape: Sequence[int],
    fade: bool = True,
    octaves: Tensor | None = None,
) -> Tensor:
    """Return octaves of Perlin noise, summed with the inverse of their frequency as weight.

    Args:
        gradients: one tensor `(batch, *lattice, channels, ndim)` per octave.
        control_points: one int tensor `(batch, ndim)` per octave.
        shape: spatial shape of the result.
        fade: the same as in `perlin_noise`. Default True.
        octaves: int tensor `(batch,)`, number of octaves of each sample. Default: all.

    Returns:
        float32 tensor of shape `(batch, *shape, channels)`, in [0, 1].

    Example:
        >>> from keras import ops
        >>> coarse, fine = ops.ones((1, 2, 2, 1, 2)), ops.ones((1, 3, 3, 1, 2))
        >>> points = [ops.array([[2, 2]]), ops.array([[3, 3]])]
        >>> tuple(fractal_noise([coarse, fine], points, (8, 8)).shape)
        (1, 8, 8, 1)
    """
    out = 0.0
    for k, (octave, points) in enumerate(zip(gradients, control_points, strict=True)):
        cells = ops.mean(ops.cast(points, "float32"), axis=-1) - 1.0
        weight = 1.0 / ops.maximum(cells, 1.0)
        if octaves is not None:
            weight = ops.where(octaves > k, weight, 0.0)
        weight = ops.reshape(weight, (-1,) + (1,) * (len(shape) + 1))
        out = out + weight * _perlin(octave, points, shape, fade)
    return normalize(out)


@takes_arrays
def normalize(x: Tensor) -> Tensor:
    """Min-max normalise each sample and channel to [0, 1]; a constant one becomes 0.

    Args:
        x: `(batch, *spatial, channels)`.

    Returns:
        Tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(normalize(ops.array([[[2.0], [4.0], [3.0]]])))[0, :, 0].tolist()
        [0.0, 1.0, 0.5]
    """
    axes = tuple(range(1, len(x.shape) - 1))
    low = ops.min(x, axis=axes, keepdims=True)
    span = ops.max(x, axis=axes, keepdims=True) - low
    span = ops.where(span > 0, span, 1.0)
    return fused(lambda x, low, span: (x - low) / span, x, low, span)
