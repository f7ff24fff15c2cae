"""Elementwise functions that give a sample the same bits at each place of a batch."""

import math
from collections.abc import Callable
from typing import Any

from keras import ops

Tensor = Any

_VECTOR = 16


def in_whole_vectors(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply `exp`, `log`, `sin` or their like to each sample.

    The last few numbers of a tensor miss the vector unit of a CPU, whose results differ
    in the last bit: a sample would depend on its place in the batch. Here each sample is
    padded to whole vectors. Arithmetic and square roots are exact and do not need this.

    Args:
        function: of a tensor `(batch, n)`, elementwise within each sample.
        x: `(batch, ...)`.

    Returns:
        Tensor of the shape of `x`.
    """
    size = math.prod(x.shape[1:])
    flat = ops.reshape(x, (-1, size))
    if size % _VECTOR:
        flat = ops.pad(flat, ((0, 0), (0, -size % _VECTOR)), constant_values=1.0)
    return ops.reshape(function(flat)[:, :size], (-1, *x.shape[1:]))
