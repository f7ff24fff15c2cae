"""Smooth random fields, min-max normalised to [0, 1] per sample and channel.

Each takes its random numbers as an argument. The number of control points may
differ per sample and axis: the lattice is drawn at its largest size and each
sample uses its first points.

Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025.
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

from synthtf.ops.linear import apply_along_axes, blur_matrix, control_offset
from synthtf.xla import fused

Tensor = Any


def value_noise(values: Tensor, control_points: Tensor, shape: Sequence[int]) -> Tensor:
    """Linearly upsampled random values.

    Args:
        values: `(batch, *lattice, channels)`, uniform random numbers.
        control_points: int tensor `(batch, ndim)`, points in use per axis.
        shape: spatial shape of the result.

    Returns:
        float32 tensor of shape `(batch, *shape, channels)`.
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
    """
    weights = [
        ops.relu(1.0 - ops.abs(control_offset(control_points[:, d], n, values.shape[d + 1])))
        for d, n in enumerate(shape)
    ]
    return apply_along_axes(values, weights)


def gaussian_noise(noise: Tensor, std: Tensor) -> Tensor:
    """Explicitly smoothed white noise.

    Smoothing shrinks the range of the noise; it is rescaled to keep `max |F|`
    before the range is normalised, which leaves the sign of the field as drawn.

    Args:
        noise: `(batch, *spatial, channels)`, standard normal.
        std: `(batch, ndim)`, of the kernel, in voxels.

    Returns:
        float32 tensor of the same shape.
    """
    return normalize(smooth_noise(noise, std))


def smooth_noise(noise: Tensor, std: Tensor) -> Tensor:
    """Blur white noise and rescale it to the largest magnitude that it had.

    Args:
        noise: `(batch, *spatial, channels)`.
        std: `(batch, ndim)`, of the kernel, in voxels.

    Returns:
        float32 tensor of the same shape.
    """
    axes = tuple(range(1, len(noise.shape) - 1))
    blurred = apply_along_axes(noise, [blur_matrix(std[:, d - 1], noise.shape[d]) for d in axes])
    before = ops.max(ops.abs(noise), axis=axes, keepdims=True)
    after = ops.max(ops.abs(blurred), axis=axes, keepdims=True)
    return blurred * (before / ops.maximum(after, 1e-7))


def perlin_noise(
    gradients: Tensor, control_points: Tensor, shape: Sequence[int], fade: bool = True
) -> Tensor:
    """Perlin noise: dot products of lattice gradients with offsets, blended.

    The weight of a control point and its offset both factor over the axes, so the
    field is a sum of `ndim` separable upsamplings.

    Args:
        gradients: `(batch, *lattice, channels, ndim)`, of any length; made unit.
        control_points: int tensor `(batch, ndim)`, points in use per axis.
        shape: spatial shape of the result.
        fade: blend with `6t⁵ - 15t⁴ + 10t³` instead of linearly.

    Returns:
        float32 tensor of shape `(batch, *shape, channels)`.
    """
    return normalize(_perlin(gradients, control_points, shape, fade))


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


def fractal_noise(
    gradients: Sequence[Tensor],
    control_points: Sequence[Tensor],
    shape: Sequence[int],
    fade: bool = True,
    octaves: Tensor | None = None,
) -> Tensor:
    """Sum of octaves of Perlin noise, weighted by the inverse of their frequency.

    Args:
        gradients: one tensor `(batch, *lattice, channels, ndim)` per octave.
        control_points: one int tensor `(batch, ndim)` per octave.
        shape: spatial shape of the result.
        fade: as of `perlin_noise`.
        octaves: int tensor `(batch,)`, how many of them a sample has. None: all.

    Returns:
        float32 tensor of shape `(batch, *shape, channels)`.
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


def normalize(x: Tensor) -> Tensor:
    """Min-max normalise each sample and channel to [0, 1]; a constant one becomes 0.

    Args:
        x: `(batch, *spatial, channels)`.

    Returns:
        Tensor of the same shape.
    """
    axes = tuple(range(1, len(x.shape) - 1))
    low = ops.min(x, axis=axes, keepdims=True)
    span = ops.max(x, axis=axes, keepdims=True) - low
    span = ops.where(span > 0, span, 1.0)
    return fused(lambda x, low, span: (x - low) / span, x, low, span)
