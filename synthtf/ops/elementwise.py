"""Elementwise functions that give a sample the same bits at each place of a batch."""

import math
from collections.abc import Callable
from typing import Any

from keras import ops

Tensor = Any

_VECTOR = 16


def in_whole_vectors(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply `exp`, `log`, `sin` and the like to each sample.

    A CPU computes the last few numbers of a tensor outside of its vector unit, and the results
    differ in the last bit: a sample would depend on its place in the batch. Here each sample is
    padded to whole vectors. Arithmetic and square roots are exact and do not need this.

    Args:
        function: takes and returns a tensor `(batch, n)`, elementwise within each sample.
        x: `(batch, ...)`.

    Returns:
        Tensor of the shape of `x`.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(in_whole_vectors(ops.exp, ops.zeros((1, 3)))).tolist()
        [[1.0, 1.0, 1.0]]
    """
    size = math.prod(x.shape[1:])
    flat = ops.reshape(x, (-1, size))
    if size % _VECTOR:
        flat = ops.pad(flat, ((0, 0), (0, -size % _VECTOR)), constant_values=1.0)
    return ops.reshape(function(flat)[:, :size], (-1, *x.shape[1:]))
