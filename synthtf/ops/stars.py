"""Star-convex objects: rays, distances along them to the border, and how far within a voxel is."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.distance import distance_to
from synthtf.ops.indexing import batch_offset, gather

Tensor = Any


def ray_directions(number: int, ndim: int) -> np.ndarray:
    """Give directions that are spread evenly over the circle or the sphere.

    Args:
        number: how many, at least 3 in 2D and 4 in 3D.
        ndim: 2 for equal angles, 3 for a Fibonacci lattice.

    Returns:
        Unit vectors, `(number, ndim)`, float64.

    Raises:
        ValueError: if there are too few, or axes other than two or three.

    Example:
        >>> ray_directions(4, 2).round(2).tolist()
        [[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, -0.0]]

    Reference: Schmidt et al., Cell detection with star-convex polygons, MICCAI 2018; Weigert et
        al., Star-convex polyhedra for 3D object detection and segmentation in microscopy, WACV
        2020.
    """
    if ndim not in (2, 3) or number < ndim + 1:
        raise ValueError(
            "there must be two or three axes, and more rays than axes. "
            f"Received: number={number}, ndim={ndim}"
        )
    if ndim == 2:
        angle = 2 * math.pi * np.arange(number) / number
        return np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    height = (2 * np.arange(number) + 1) / number - 1
    radius, angle = np.sqrt(1 - height**2), (3 - math.sqrt(5)) * math.pi * np.arange(number)
    return np.stack([height, radius * np.sin(angle), radius * np.cos(angle)], axis=-1)


def star_distance(
    labels: Tensor, directions: np.ndarray, spacing: Sequence[float], limit: float
) -> Tensor:
    """Measure from each voxel of an object along rays how far the object goes.

    A ray is followed in steps of the smallest side of a voxel to the first voxel of another label,
    or to the border of the volume.

    Args:
        labels: int32, `(batch, *spatial, 1)`, of a known spatial shape; 0 is no object.
        directions: unit vectors in mm, `(rays, ndim)`.
        spacing: mm per voxel, one per axis.
        limit: largest distance, in mm.

    Returns:
        float32 tensor `(batch, *spatial, rays)`, in mm; 0 where there is no object.

    Example:
        >>> labels = ops.array([[0, 3, 3, 3, 0]])[..., None, None]
        >>> found = star_distance(labels, np.array([[1.0, 0.0], [-1.0, 0.0]]), (1, 1), 9)
        >>> ops.convert_to_numpy(found)[0, 1, 0].tolist()
        [2.5, 0.5]
    """
    shape, step = tuple(labels.shape[1:-1]), float(min(spacing))
    steps = max(1, math.floor(limit / step))
    way = np.arange(1, steps + 1)[:, None, None] * step * np.asarray(directions)
    offsets = np.rint(way / np.asarray(spacing)).astype(int)
    reach = [int(x) for x in np.abs(offsets).max(axis=(0, 1))]
    padded = ops.pad(labels[..., 0], [(0, 0), *((n, n) for n in reach)], constant_values=-1)
    sizes = [n + 2 * extra for n, extra in zip(shape, reach, strict=True)]
    stride = np.array([math.prod(sizes[d + 1 :]) for d in range(len(sizes))])
    places = np.indices(shape).reshape(len(shape), -1).T + reach
    first = batch_offset(ops.shape(labels)[0], math.prod(sizes), 2)
    index = first + ops.convert_to_tensor((places @ stride).astype("int32")[None, :, None])
    flat = ops.reshape(padded, (-1,))
    own = ops.reshape(labels, (-1, math.prod(shape), 1))
    alive, count = own > 0, 0.0
    for offset in offsets:
        there = gather(flat, index + ops.convert_to_tensor((offset @ stride).astype("int32")))
        alive = ops.logical_and(alive, ops.equal(there, own))
        count = count + ops.cast(alive, "float32")
    distance = ops.where(own > 0, ops.minimum((count + 0.5) * step, float(limit)), 0.0)
    return ops.reshape(distance, (-1, *shape, len(directions)))


@takes_arrays
def object_probability(
    index: Tensor, number: int, spacing: Sequence[float], limit: float
) -> Tensor:
    """Tell how far within its object each voxel is: 1 in the middle, 0 where there is no object.

    It is the distance to the border of the object, relative to the largest one in it. The border
    of the volume is none.

    Args:
        index: int32, `(batch, *spatial, 1)`, of a known spatial shape: number of the object of
            each voxel, 0 for none.
        number: largest number of an object.
        spacing: mm per voxel, one per axis.
        limit: distance beyond which all of an object counts as its middle, in mm.

    Returns:
        float32 tensor of the same shape.

    Example:
        >>> index = ops.array([0, 1, 1, 1, 0])[None, :, None]
        >>> found = ops.convert_to_numpy(object_probability(index, 1, (1,), 5))
        >>> [round(float(x), 2) for x in found.ravel()]
        [0.0, 0.33, 1.0, 0.33, 0.0]
    """
    shape = tuple(index.shape[1:-1])
    edge = ops.zeros_like(index, "bool")
    for axis, size in enumerate(shape, start=1):
        every = [slice(None)] * axis
        lower, upper = index[(*every, slice(size - 1))], index[(*every, slice(1, size))]
        differs = ops.not_equal(lower, upper)
        for side in ((0, 1), (1, 0)):
            pads = [side if a == axis else (0, 0) for a in range(len(index.shape))]
            edge = ops.logical_or(edge, ops.pad(differs, pads))
    depth = distance_to(edge, spacing, limit) + min(spacing) / 2
    depth = ops.where(index > 0, depth, 0.0)
    numbered = index + batch_offset(ops.shape(index)[0], number + 1, len(index.shape) - 1)
    largest = _largest(ops.reshape(depth, (-1,)), ops.reshape(numbered, (-1,)), number + 1, index)
    return depth / ops.maximum(largest, 1e-6)


def _largest(values: Tensor, numbered: Tensor, number: int, like: Tensor) -> Tensor:
    """Give each voxel the largest value among those of its number."""
    segments = ops.shape(like)[0] * number
    found = ops.segment_max(values, numbered, num_segments=segments)
    return ops.reshape(gather(found, numbered), ops.shape(like))
