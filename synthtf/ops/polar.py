"""Polar coordinates."""

import math
from typing import Any

from keras import ops

from synthtf.ops.elementwise import in_whole_vectors

Tensor = Any


def turn(x: Tensor, y: Tensor) -> Tensor:
    """Return the direction of `(x, y)` as a share of a full turn, in [0, 1); 0 at the origin.

    Args:
        x: `(batch, ...)`.
        y: tensor of the same shape.

    Returns:
        float32 tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> x, y = ops.array([[1.0, 0.0, -1.0]]), ops.array([[0.0, 1.0, 0.0]])
        >>> print(ops.convert_to_numpy(turn(x, y))[0])
        [0.   0.25 0.5 ]
    """
    wide, high = ops.abs(x), ops.abs(y)
    ratio = ops.minimum(wide, high) / ops.maximum(ops.maximum(wide, high), 1e-20)
    angle = in_whole_vectors(ops.arctan, ratio) / (2 * math.pi)
    angle = ops.where(high > wide, 0.25 - angle, angle)
    angle = ops.where(x < 0, 0.5 - angle, angle)
    angle = ops.where(y < 0, 1.0 - angle, angle)
    return ops.where(angle < 1.0, angle, 0.0)
