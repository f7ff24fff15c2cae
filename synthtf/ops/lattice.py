"""Smooth Gaussian fields with a feature size in mm, from normal numbers on a lattice."""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.linear import apply_along_axes

Tensor = Any


def lattice_shape(shape: Sequence[int], spacing: Sequence[float], size: float) -> tuple[int, ...]:
    """Return the number of lattice points per axis that cover a volume at any shift.

    Args:
        shape: spatial shape of the volume.
        spacing: mm per voxel, one per axis.
        size: smallest distance between lattice points, in mm.

    Returns:
        One number per axis.

    Example:
        >>> lattice_shape((11, 21), (1.0, 1.0), 5.0)
        (6, 8)
    """
    extent = [(n - 1) * mm for n, mm in zip(shape, spacing, strict=True)]
    return tuple(math.ceil(mm / size) + 4 for mm in extent)


@takes_arrays
def lattice_field(
    values: Tensor, size: Tensor, shift: Tensor, shape: Sequence[int], spacing: Sequence[float]
) -> Tensor:
    """Blend lattice values by cubic B-splines into a field of unit variance.

    `F(x) = Σ_k v_k b(x/size + shift + 1 - k)`, where `b` is a product over the axes. The squared
    weights of each voxel sum to one: values from `N(0, 1)` give a field of `N(0, 1)`.

    Args:
        values: `(batch, *lattice, channels)`, with a lattice of at least `lattice_shape`.
        size: `(batch,)`, distance between lattice points, in mm.
        shift: `(batch, ndim)`, shift of the lattice in cells, in [0, 1).
        shape: spatial shape of the volume.
        spacing: mm per voxel, one per axis.

    Returns:
        float32 tensor of shape `(batch, *shape, channels)`.

    Example:
        >>> from keras import ops
        >>> values = ops.ones((1, *lattice_shape((9, 9), (1.0, 1.0), 4.0), 1))
        >>> field = lattice_field(values, ops.array([4.0]), ops.zeros((1, 2)), (9, 9), (1.0, 1.0))
        >>> tuple(field.shape)
        (1, 9, 9, 1)
    """
    matrices = []
    for d, (n, mm) in enumerate(zip(shape, spacing, strict=True)):
        place = ops.arange(n, dtype="float32")[None] * mm / size[:, None] + shift[:, d, None] + 1.0
        points = ops.arange(values.shape[d + 1], dtype="float32")
        distance = ops.abs(place[:, :, None] - points)
        weight = _cube(ops.relu(2.0 - distance)) - 4.0 * _cube(ops.relu(1.0 - distance))
        length = ops.sqrt(ops.sum(ops.square(weight), axis=-1, keepdims=True))
        matrices.append(weight / length)
    return apply_along_axes(values, matrices)


def _cube(x: Tensor) -> Tensor:
    return x * x * x
