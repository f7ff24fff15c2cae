"""Random quantisation."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.ranges import WholeRange


@keras.saving.register_keras_serializable(package="synthtf")
class RandomQuantization(RandomLayer):
    """Round intensities to few levels, as integer file formats and viewers do.

    With the minimum `a` and the maximum `b` of a sample and channel, and `L = 2^bits` levels,
    `x` becomes `a + Δ round((x - a) / Δ)`, where `Δ = (b - a) / (L - 1)`.

    Args:
        bits: `(low, high)`, whole numbers from 1 to 16; drawn per sample.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Raises:
        ValueError: if the range is reversed, out of bounds or not whole.

    Example:
    >>> import numpy as np
    >>> image = np.array([0, 0.1, 0.4, 0.9, 3], "float32").reshape(1, 5, 1, 1)
    >>> np.asarray(RandomQuantization(bits=2)(image)).ravel().tolist()
    [0.0, 0.0, 0.0, 1.0, 3.0]
    """

    def __init__(
        self, bits: Annotated[WholeRange, Limits(1, 16, "bits")] = (4, 12), **kwargs: Any
    ) -> None:
        super().__init__(bits=bits, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "bits"."""
        return {"bits": random.integers(random.fold_in(key, "bits"), (), *self.bits)}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Round."""
        image = as_image(inputs)
        axes = tuple(range(1, len(image.shape) - 1))
        low = ops.min(image, axis=axes, keepdims=True)
        high = ops.max(image, axis=axes, keepdims=True)
        # A shift of bits, since powers of floats are not exact.
        levels = ops.left_shift(ops.ones_like(draws["bits"]), draws["bits"])
        step = (high - low) / expand(ops.cast(levels - 1, "float32"), image)
        scaled = (image - low) / ops.where(step > 0, step, 1.0)
        return low + step * ops.round(scaled)
