"""The blur by which SynthSeg smooths posteriors."""

from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any

_SIGMA = 0.5  # voxels


@keras.saving.register_keras_serializable(package="synthtf")
class SmoothPosteriors(keras.layers.Layer):
    """Blur each channel by a Gaussian of 3 voxels per axis; there is 0 beyond the borders.

    Input shape: `(batch, x, y, z, channels)`.
    Output shape: the same.
    """

    reach = 1
    """Voxels to each side that it looks at."""

    def call(self, x: Tensor) -> Tensor:
        """Blur one axis after the other, which for a Gaussian is the same."""
        side, centre = _kernel()
        for axis in range(1, len(x.shape) - 1):
            widths = [[0, 0] for _ in x.shape]
            widths[axis] = [1, 1]
            padded = ops.pad(x, widths)
            before, after = [slice(None)] * len(x.shape), [slice(None)] * len(x.shape)
            before[axis], after[axis] = slice(None, -2), slice(2, None)
            x = centre * x + side * (padded[tuple(before)] + padded[tuple(after)])
        return x

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of the output."""
        return input_shape


def smooth(channel: np.ndarray) -> np.ndarray:
    """Blur one channel, `(x, y, z)`."""
    blurred = SmoothPosteriors()(ops.convert_to_tensor(channel[None, ..., None]))
    return ops.convert_to_numpy(blurred)[0, ..., 0]


def _kernel() -> tuple[float, float]:
    """Weight of each neighbour, and of the voxel itself."""
    side = float(np.exp(-0.5 / _SIGMA**2))
    return side / (1 + 2 * side), 1 / (1 + 2 * side)
