"""Smooth local scaling about a centre, and a bound on its compression."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.resampling import axis_grid

Tensor = Any

# Largest slope of the fade `1 - 3t² + 2t³`, and the largest value of `t |w'(t)| - w(t)`.
_STEEPEST = 1.5
_STEEPEST_INSIDE = 0.6875


def radial_scaling(
    centre: Tensor,
    radius: Tensor,
    decay: Tensor,
    amount: Tensor,
    shape: Sequence[int],
    spacing: Sequence[float],
) -> list[Tensor]:
    """Return the displacement `amount (x - c) w((|x - c| - radius) / decay)`.

    The fade `w(t)` is 1 below 0, 0 above 1 and `1 - 3t² + 2t³` between: space is scaled by
    `1 + amount` within the radius and stays as it is beyond `radius + decay`.

    Args:
        centre: `(batch, ndim)`, c in mm from the first voxel.
        radius: `(batch,)`, in mm.
        decay: `(batch,)`, in mm, above 0.
        amount: `(batch,)`, a ratio: 0.1 enlarges by 10%.
        shape: spatial shape of the volume.
        spacing: mm per voxel, one per axis.

    Returns:
        One tensor `(batch, *shape)` per axis, in mm.

    Example:
        >>> from keras import ops
        >>> one = ops.ones((1,))
        >>> (field,) = radial_scaling(ops.array([[2.0]]), one, one, 0.5 * one, (5,), (1.0,))
        >>> print(ops.convert_to_numpy(field)[0] + 0.0)
        [ 0.  -0.5  0.   0.5  0. ]
    """
    ndim = len(shape)

    def spread(x: Tensor) -> Tensor:
        return ops.reshape(x, (-1,) + (1,) * ndim)

    offset = [
        axis_grid(n, d, ndim) * mm - spread(centre[:, d])
        for d, (n, mm) in enumerate(zip(shape, spacing, strict=True))
    ]
    squared = ops.square(offset[-1])
    for part in offset[-2::-1]:  # small sums first: only the last one has the whole volume's size
        squared = ops.square(part) + squared
    t = ops.clip((ops.sqrt(squared) - spread(radius)) * spread(1.0 / decay), 0.0, 1.0)
    weight = spread(amount) * (1.0 - t * t * (3.0 - 2.0 * t))
    return [weight * part for part in offset]


@takes_arrays
def radial_compression(radius: Tensor, decay: Tensor, amount: Tensor) -> Tensor:
    """Return a bound on how much `radial_scaling` compresses at its worst voxel.

    The Jacobian of each displacement is symmetric, and no eigenvalue is below minus this bound.
    Where the bounds of overlapping fields add up to less than one, `x + Σ u(x)` is invertible.

    Args:
        radius: `(batch,)`, in mm.
        decay: `(batch,)`, in mm, above 0.
        amount: `(batch,)`, a ratio.

    Returns:
        Tensor of shape `(batch,)`.

    Example:
        >>> from keras import ops
        >>> one = ops.ones((1,))
        >>> float(radial_compression(2 * one, 4 * one, 0.5 * one)[0])
        0.71875
    """
    shell = amount * (_STEEPEST * radius / decay + _STEEPEST_INSIDE)
    return ops.maximum(shell, -amount)


@takes_arrays
def shortest_decay(radius: Tensor, amount: Tensor, limit: float) -> Tensor:
    """Return the shortest decay at which `radial_compression` does not exceed a limit.

    Args:
        radius: `(batch,)`, in mm.
        amount: `(batch,)`, a ratio.
        limit: largest compression allowed.

    Returns:
        Tensor of shape `(batch,)`, in mm.

    Example:
        >>> from keras import ops
        >>> one = ops.ones((1,))
        >>> float(shortest_decay(2 * one, 0.5 * one, 0.71875)[0])
        4.0
    """
    room = limit - _STEEPEST_INSIDE * amount
    return _STEEPEST * radius * ops.relu(amount) / ops.maximum(room, 1e-3)
