"""Distances to the border of a region, and the closing of regions."""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

Tensor = Any


def distance_to(mask: Tensor, spacing: Sequence[float], limit: float) -> Tensor:
    """Euclidean distance from each voxel to the closest voxel of a region, truncated.

    Exact up to `limit`: along one axis after the other, the squared distance is the lower
    envelope of parabolas, of which only those within reach are compared.

    Args:
        mask: boolean, `(batch, *spatial, channels)`; nothing is known beyond its borders.
        spacing: mm per voxel and axis.
        limit: largest distance, in mm.

    Returns:
        float32 tensor of the same shape, in mm: 0 in the region, `limit` far from it.

    Reference: Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, Theory of
        Computing 2012.
    """
    far = float(limit) ** 2
    squared = ops.where(mask, 0.0, far)
    for axis, mm in enumerate(spacing, start=1):
        squared = _lower_envelope(squared, axis, float(mm), far)
    return ops.sqrt(squared)


def _lower_envelope(values: Tensor, axis: int, mm: float, far: float) -> Tensor:
    """Minimum over shifts along an axis of the shifted values plus the squared shift."""
    reach = math.ceil(math.sqrt(far) / mm) - 1  # voxels; beyond, the square alone is `far`
    pads = [(reach, reach) if a == axis else (0, 0) for a in range(len(values.shape))]
    padded = ops.pad(values, pads, constant_values=far)
    size = ops.shape(values)[axis]
    best = values
    for shift in range(1, reach + 1):
        start = [slice(None)] * axis
        before = padded[(*start, slice(reach - shift, reach - shift + size), ...)]
        after = padded[(*start, slice(reach + shift, reach + shift + size), ...)]
        best = ops.minimum(best, ops.minimum(before, after) + (shift * mm) ** 2)
    return best


def signed_distance(mask: Tensor, spacing: Sequence[float], limit: float) -> Tensor:
    """Distance of each voxel to the border of a region, negative within.

    The border runs between voxels inside and outside, half of the smallest voxel size from their
    centres: exact to half a voxel, of the larger size where voxels are not isotropic.

    Args:
        mask: boolean, `(batch, *spatial, channels)`; nothing is known beyond its borders.
        spacing: mm per voxel and axis.
        limit: largest distance, in mm.

    Returns:
        float32 tensor of the same shape, in mm, in `[-limit, limit]`.
    """
    half = min(spacing) / 2
    outside = distance_to(mask, spacing, limit + half)
    inside = distance_to(ops.logical_not(mask), spacing, limit + half)
    return ops.where(mask, half - inside, outside - half)


def close_region(mask: Tensor, spacing: Sequence[float], radius: float) -> Tensor:
    """Morphological closing by a ball: fill what a ball outside of the region cannot reach.

    Args:
        mask: boolean, `(batch, *spatial, channels)`. A ball reaches beyond the borders.
        spacing: mm per voxel and axis.
        radius: of the ball, in mm; 0 leaves the region as it is.

    Returns:
        Boolean tensor of the same shape.
    """
    if not radius:
        return mask
    # A little more, so that a distance of exactly the radius counts as within.
    reach = radius * (1 + 1e-4)
    beyond = distance_to(mask, spacing, 2 * reach) > reach
    return distance_to(beyond, spacing, 2 * reach) > reach
