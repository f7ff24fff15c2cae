"""Distances to the border of a region, and morphological closing."""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from synthtf.xla import fused

Tensor = Any


def distance_to(mask: Tensor, spacing: Sequence[float], limit: float) -> Tensor:
    """Return the Euclidean distance from each voxel to a region, truncated.

    Exact up to `limit`: along one axis after the other, the squared distance is the lower
    envelope of parabolas, and only those within reach are compared.

    Args:
        mask: boolean, `(batch, *spatial, channels)`. The region ends at the border of the volume.
        spacing: mm per voxel, one per axis.
        limit: largest distance, in mm.

    Returns:
        float32 tensor of the same shape, in mm: 0 in the region, `limit` far from it.

    Example:
        >>> from keras import ops
        >>> mask = ops.array([True, False, False, False])[None, :, None]
        >>> ops.convert_to_numpy(distance_to(mask, (2.0,), 5.0))[0, :, 0].tolist()
        [0.0, 2.0, 4.0, 5.0]

    Reference:
        Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, Theory of
        Computing 2012.
    """
    far = float(limit) ** 2
    squared = far * ops.cast(ops.logical_not(mask), "float32")
    for axis, mm in enumerate(spacing, start=1):
        squared = _lower_envelope(squared, axis, float(mm), far)
    return ops.sqrt(squared)


def _lower_envelope(values: Tensor, axis: int, mm: float, far: float) -> Tensor:
    """Return the minimum over shifts along an axis of the shifted values plus the squared shift."""
    reach = math.ceil(math.sqrt(far) / mm) - 1  # voxels; beyond, the square alone is `far`
    if values.shape[axis] is not None:
        reach = min(reach, values.shape[axis] - 1)
    pads = [(reach, reach) if a == axis else (0, 0) for a in range(len(values.shape))]

    def envelope(values: Tensor) -> Tensor:
        padded = ops.pad(values, pads, constant_values=far)
        size = ops.shape(values)[axis]
        best = values
        for shift in range(1, reach + 1):
            start = [slice(None)] * axis
            before = padded[(*start, slice(reach - shift, reach - shift + size), ...)]
            after = padded[(*start, slice(reach + shift, reach + shift + size), ...)]
            best = ops.minimum(best, ops.minimum(before, after) + (shift * mm) ** 2)
        return best

    return fused(envelope, values, passes=reach)


def signed_distance(mask: Tensor, spacing: Sequence[float], limit: float) -> Tensor:
    """Return the distance of each voxel to the border of a region, negative inside.

    The border runs between voxels inside and outside, half the smallest voxel size from their
    centres. The error is at most half a voxel, of the largest size if voxels are anisotropic.

    Args:
        mask: boolean, `(batch, *spatial, channels)`. The region ends at the border of the volume.
        spacing: mm per voxel, one per axis.
        limit: largest distance, in mm.

    Returns:
        float32 tensor of the same shape, in mm, in `[-limit, limit]`.

    Example:
        >>> from keras import ops
        >>> mask = ops.array([True, True, False, False])[None, :, None]
        >>> ops.convert_to_numpy(signed_distance(mask, (1.0,), 5.0))[0, :, 0].tolist()
        [-1.5, -0.5, 0.5, 1.5]
    """
    half = min(spacing) / 2
    outside = distance_to(mask, spacing, limit + half)
    inside = distance_to(ops.logical_not(mask), spacing, limit + half)
    return ops.where(mask, half - inside, outside - half)


def close_region(mask: Tensor, spacing: Sequence[float], radius: float) -> Tensor:
    """Close a region by a ball: fill what a ball outside of the region cannot reach.

    Args:
        mask: boolean, `(batch, *spatial, channels)`. The ball may leave the volume.
        spacing: mm per voxel, one per axis.
        radius: radius of the ball, in mm; 0 leaves the region as it is.

    Returns:
        Boolean tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> mask = ops.array([True, False, True, False, False])[None, :, None]
        >>> ops.convert_to_numpy(close_region(mask, (1.0,), 1.0))[0, :, 0].tolist()
        [True, True, True, False, False]
    """
    if not radius:
        return mask
    # A little more, so that a distance of exactly the radius counts as within.
    reach = radius * (1 + 1e-4)
    beyond = distance_to(mask, spacing, 2 * reach) > reach
    return distance_to(beyond, spacing, 2 * reach) > reach
