"""The closest voxel of a region, with its distance and its label."""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from synthtf.xla import fused

Tensor = Any


def nearest_label(
    labels: Tensor, mask: Tensor, spacing: Sequence[float], limit: float
) -> tuple[Tensor, Tensor]:
    """Return the distance from each voxel to a region, truncated, and the label found there.

    The lower envelope of `distance_to`, which also keeps where each minimum comes from.

    Args:
        labels: int32, `(batch, *spatial, 1)`.
        mask: boolean, of the same shape; the region, which ends at the border of the volume.
        spacing: mm per voxel, one per axis.
        limit: largest distance, in mm.

    Returns:
        The distance in mm, float32, exact up to `limit`; and the label of the closest voxel of
        the region, int32. A voxel with no region within the limit keeps its own label.

    Example:
        >>> from keras import ops
        >>> labels = ops.array([3, 0, 0, 0])[None, :, None]
        >>> distance, label = nearest_label(labels, labels > 0, (1.0,), 2.5)
        >>> ops.convert_to_numpy(distance)[0, :, 0].tolist()
        [0.0, 1.0, 2.0, 2.5]
        >>> ops.convert_to_numpy(label)[0, :, 0].tolist()
        [3, 3, 3, 0]

    Reference:
        Felzenszwalb and Huttenlocher, Distance transforms of sampled functions, Theory of
        Computing 2012.
    """
    far = float(limit) ** 2
    squared = far * ops.cast(ops.logical_not(mask), "float32")
    nearest = labels
    for axis, mm in enumerate(spacing, start=1):
        squared, nearest = _along_axis(squared, nearest, axis, float(mm), far)
    return ops.sqrt(squared), nearest


def _along_axis(
    squared: Tensor, nearest: Tensor, axis: int, mm: float, far: float
) -> tuple[Tensor, Tensor]:
    reach = math.ceil(math.sqrt(far) / mm) - 1  # voxels; beyond, the square alone is `far`
    if squared.shape[axis] is not None:
        reach = min(reach, squared.shape[axis] - 1)
    pads = [(reach, reach) if a == axis else (0, 0) for a in range(len(squared.shape))]
    size = squared.shape[axis]

    def envelope(squared: Tensor, nearest: Tensor) -> tuple[Tensor, Tensor]:
        distances = ops.pad(squared, pads, constant_values=far)
        values = ops.pad(nearest, pads)
        for shift in range(1, reach + 1):
            for start in (reach - shift, reach + shift):
                part = (*[slice(None)] * axis, slice(start, start + size), ...)
                here = distances[part] + (shift * mm) ** 2
                nearest = ops.where(here < squared, values[part], nearest)
                squared = ops.minimum(here, squared)
        return squared, nearest

    return fused(envelope, squared, nearest, passes=reach)
