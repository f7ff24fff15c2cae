"""Functions of single intensities."""

from typing import Any

from keras import ops

from synthtf.ops.elementwise import in_whole_vectors

Tensor = Any

_SMALLEST = 1e-12


def power(x: Tensor, exponent: Tensor) -> Tensor:
    """Raise non-negative images to a power per sample.

    `exp(exponent log(x))`, which takes a third of the time of `pow` on a CPU.

    Args:
        x: `(batch, *spatial, channels)`, at least zero.
        exponent: `(batch,)`, positive.

    Returns:
        Tensor of the shape of `x`; values below 1e-12 count as 1e-12.
    """
    x = ops.maximum(x, _SMALLEST)
    return in_whole_vectors(lambda flat: ops.exp(exponent[:, None] * ops.log(flat)), x)
