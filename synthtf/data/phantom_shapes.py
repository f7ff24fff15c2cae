"""Shapes as signed depths, from which the head phantoms are built.

A depth is a float32 array over points: about the distance in mm to the surface of the
shape, positive inside and negative outside. Union is the maximum and intersection the
minimum. Nothing depends on a voxel grid, so a shape is the same at any resolution.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Points = tuple[np.ndarray, np.ndarray, np.ndarray]


def ellipsoid_depth(points: Points, centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
    """Return the depth inside an ellipsoid along the coordinate axes, to first order.

    Args:
        points: x, y and z, arrays of one shape, in mm.
        centre: centre, in mm.
        radii: semi-axes, in mm.

    Returns:
        Array of the shape of the points: mm, positive inside.
    """
    scaled = [
        (p - np.float32(c)) / np.float32(r) for p, c, r in zip(points, centre, radii, strict=True)
    ]
    level = np.sqrt(sum(s * s for s in scaled)) + np.float32(1e-3)
    slope = np.sqrt(sum((s / np.float32(r)) ** 2 for s, r in zip(scaled, radii, strict=True)))
    slope += np.float32(1e-3 / np.mean(radii))
    return level * (1 - level) / slope


def tube_depth(
    points: Points,
    path: Sequence[tuple[float, float, float, float]],
    stretch: float = 1.0,
) -> np.ndarray:
    """Return the depth inside a tube along a path, with a radius that changes along it.

    Args:
        points: x, y and z, arrays of one shape, in mm.
        path: at least two rows (x, y, z, radius), in mm.
        stretch: factor by which the cross-section is wider along x.

    Returns:
        Array of the shape of the points: mm, positive inside.
    """
    rows = np.asarray(path, np.float32)
    x, y, z = points[0] / np.float32(stretch), points[1], points[2]
    depth = None
    for start, stop in pairwise(rows):
        begin = start[:3] / np.float32([stretch, 1, 1])
        step = stop[:3] / np.float32([stretch, 1, 1]) - begin
        dx, dy, dz = x - begin[0], y - begin[1], z - begin[2]
        length = np.float32(step @ step)
        dot = dx * step[0] + dy * step[1] + dz * step[2]
        along = np.clip(dot / length, 0, 1)
        squared = dx * dx + dy * dy + dz * dz - along * (2 * dot - along * length)
        piece = start[3] + along * (stop[3] - start[3]) - np.sqrt(np.maximum(squared, 0))
        depth = piece if depth is None else np.maximum(depth, piece)
    return depth


def smooth_union(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """Return the maximum of two depths, rounded over `width` mm where they meet."""
    overlap = np.maximum(np.float32(width) - np.abs(first - second), 0)
    return np.maximum(first, second) + overlap * overlap / np.float32(4 * width)


def smooth_intersection(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """Return the minimum of two depths, rounded over `width` mm where they meet."""
    return -smooth_union(-first, -second, width)


def spline_basis(coordinates: np.ndarray, knot_spacing: float, extent: float) -> np.ndarray:
    """Evaluate cubic B-splines on a lattice of knots that is fixed in space.

    Args:
        coordinates: coordinates to evaluate at, in mm, shape (n,).
        knot_spacing: distance between knots, in mm.
        extent: the knots cover [-extent, extent], in mm.

    Returns:
        float32 array of shape (n, knots): the value of each spline at each coordinate.

    Example:
        >>> spline_basis(np.array([0.0]), 10.0, 10.0).round(3)
        array([[0.167, 0.667, 0.167]], dtype=float32)
    """
    half = int(np.ceil(extent / knot_spacing))
    knots = np.arange(-half, half + 1, dtype=np.float32)
    t = np.abs(np.asarray(coordinates, np.float32)[:, None] / np.float32(knot_spacing) - knots)
    inner = 2 / 3 - t * t + t**3 / 2
    outer = np.maximum(2 - t, 0) ** 3 / 6
    return np.where(t < 1, inner, outer).astype(np.float32)
