"""Smooth Gaussian fields of a size in mm, from normal numbers on a lattice."""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from synthtf.ops.linear import apply_along_axes

Tensor = Any


def lattice_shape(shape: Sequence[int], spacing: Sequence[float], size: float) -> tuple[int, ...]:
    """Give the number of lattice points per axis that a volume needs, for any shift.

    Args:
        shape: spatial shape of the volume.
        spacing: mm per voxel and axis.
        size: smallest distance of lattice points, in mm.

    Example:
    >>> lattice_shape((11, 21), (1.0, 1.0), 5.0)
    (6, 8)
    """
    extent = [(n - 1) * mm for n, mm in zip(shape, spacing, strict=True)]
    return tuple(math.ceil(mm / size) + 4 for mm in extent)


def lattice_field(
    values: Tensor, size: Tensor, shift: Tensor, shape: Sequence[int], spacing: Sequence[float]
) -> Tensor:
    """Blend lattice values by cubic B-splines into a field of unit variance.

    `F(x) = Σ_k v_k b(x/size + shift + 1 - k)`, `b` a product over the axes; the weights of each
    voxel have a square sum of one, so that values from `N(0, 1)` give a field of `N(0, 1)`.

    Args:
        values: `(batch, *lattice, channels)`, the lattice at least as `lattice_shape` says.
        size: `(batch,)`, distance of lattice points in mm.
        shift: `(batch, ndim)`, of the lattice in cells, in [0, 1).
        shape: spatial shape of the volume.
        spacing: mm per voxel and axis.

    Returns:
        float32 tensor of shape `(batch, *shape, channels)`.
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
