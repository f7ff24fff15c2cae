"""Functions of single intensities."""

from typing import Any

from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.indexing import take_per_sample
from synthtf.xla import fused

Tensor = Any

_SMALLEST = 1e-12


@takes_arrays
def power(x: Tensor, exponent: Tensor) -> Tensor:
    """Raise non-negative images to a power per sample.

    `exp(exponent log(x))`, which takes a third of the time of `pow` on a CPU.

    Args:
        x: `(batch, *spatial, channels)`, at least zero.
        exponent: `(batch,)`, positive.

    Returns:
        Tensor of the shape of `x`; values below 1e-12 count as 1e-12.

    Example:
        >>> from keras import ops
        >>> image = ops.array([[[0.0], [0.5], [1.0]]])
        >>> print(ops.convert_to_numpy(power(image, ops.array([2.0])))[0, :, 0].round(4))
        [0.   0.25 1.  ]
    """

    def raised(x: Tensor, exponent: Tensor) -> Tensor:
        x = ops.maximum(x, _SMALLEST)
        return in_whole_vectors(lambda flat: ops.exp(exponent[:, None] * ops.log(flat)), x)

    return fused(raised, x, exponent)


def remap(x: Tensor, values: Tensor, num_points: Tensor) -> Tensor:
    """Send intensities through curves that are linear between equally spaced points.

    Args:
        x: `(batch, *spatial, channels)`, in [0, 1].
        values: `(batch, channels, n)`, values of each curve at its points; the first point lies
            at intensity 0.
        num_points: int tensor `(batch,)`, number of points in use, from 2 to n; the last of them
            lies at intensity 1.

    Returns:
        Tensor of the shape of `x`.

    Example:
        >>> from keras import ops
        >>> image = ops.array([[[0.0], [0.25], [1.0]]])
        >>> inverted = remap(image, ops.array([[[1.0, 0.0]]]), ops.array([2]))
        >>> ops.convert_to_numpy(inverted)[0, :, 0].tolist()
        [1.0, 0.75, 0.0]
    """
    channels, size = values.shape[1:]
    last = ops.reshape(num_points, (-1,) + (1,) * (len(x.shape) - 1)) - 1
    position = x * ops.cast(last, x.dtype)
    below = ops.minimum(ops.cast(position, "int32"), last - 1)
    weight = position - ops.cast(below, x.dtype)
    rise = ops.pad(values[:, :, 1:] - values[:, :, :-1], ((0, 0), (0, 0), (0, 1)))
    index = below + ops.arange(channels, dtype="int32") * size
    start, slope = (
        take_per_sample(ops.reshape(table, (-1, channels * size)), index)
        for table in (values, rise)
    )
    return start + slope * weight
