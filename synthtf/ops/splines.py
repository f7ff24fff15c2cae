"""Cubic B-splines: fields from a coarse lattice that are smooth and have smooth slopes."""

from typing import Any

from keras import ops

from synthtf.ops.linear import control_offset

Tensor = Any


def spline_matrix(num_points: Tensor, size: int, capacity: int, slope: bool = False) -> Tensor:
    """Return the matrix of cubic B-spline interpolation from a few control points.

    The second control point lies on the first voxel and the last but one on the last voxel:
    with one point beyond each border, the weights sum to one and a linear lattice stays linear.

    Args:
        num_points: `(batch,)`, number of control points in use, from 4 to `capacity`.
        size: number of voxels along the axis.
        capacity: number of control points that the lattice holds.
        slope: return the derivative per voxel instead of the value. Default False.

    Returns:
        float32 tensor of shape `(batch, size, capacity)`.

    Example:
        >>> from keras import ops
        >>> weights = spline_matrix(ops.array([4]), 3, 4)
        >>> print(ops.convert_to_numpy(weights)[0, 0].round(3))
        [0.167 0.667 0.167 0.   ]
    """
    cells = ops.cast(num_points, "float32") - 3.0
    offset = control_offset(cells + 1.0, size, capacity) + 1.0
    distance = ops.abs(offset)
    near, far = ops.relu(1.0 - distance), ops.relu(2.0 - distance)
    if not slope:
        return (far * far * far - 4.0 * near * near * near) / 6.0
    per_cell = ops.sign(offset) * (2.0 * near * near - 0.5 * far * far)
    return per_cell * (cells / max(size - 1, 1))[:, None, None]
