"""Cubic B-splines: smooth fields from a coarse lattice, whose slopes are smooth, too."""

from typing import Any

from keras import ops

from synthtf.ops.linear import control_offset

Tensor = Any


def spline_matrix(num_points: Tensor, size: int, capacity: int, slope: bool = False) -> Tensor:
    """Cubic B-spline interpolation from a few control points.

    The second control point lies on the first voxel and the last but one on the last:
    one beyond each border keeps the weights' sum at one and linear lattices linear.

    Args:
        num_points: tensor of shape `(batch,)`, control points in use, from 4 to `capacity`.
        size: number of voxels along the axis.
        capacity: static number of control points that the lattice holds.
        slope: give the derivative, per voxel, in place of the value.

    Returns:
        float32 tensor of shape `(batch, size, capacity)`.
    """
    cells = ops.cast(num_points, "float32") - 3.0
    offset = control_offset(cells + 1.0, size, capacity) + 1.0
    distance = ops.abs(offset)
    near, far = ops.relu(1.0 - distance), ops.relu(2.0 - distance)
    if not slope:
        return (far * far * far - 4.0 * near * near * near) / 6.0
    per_cell = ops.sign(offset) * (2.0 * near * near - 0.5 * far * far)
    return per_cell * (cells / max(size - 1, 1))[:, None, None]
