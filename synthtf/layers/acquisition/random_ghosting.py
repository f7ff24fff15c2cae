"""Random ghosts."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Axes, Limits, Proportion
from synthtf.layers.axes import draw_axis
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.kspace import central_lines, filter_lines, line_frequency, magnitude
from synthtf.ranges import WholeRange


@keras.saving.register_keras_serializable(package="synthtf")
class RandomGhosting(RandomLayer):
    """Add ghosts: copies of the object, evenly spaced along one random axis.

    Periodic errors, such as those of pulsation, breathing or alternating echoes, modulate the
    k-space lines. Here every `n`-th line is multiplied by `1 - a`, which gives

        |x - a/n Σ_j exp(2πi o j / n) S_j x|,    j = 0, ..., n - 1,

    where `S_j` shifts the object cyclically by `j / n` of the field of view, and `o` is the
    first of these lines, counted from the centre of k-space. With `n = 2`, this is the
    N/2 ghost `(1 - a/2) x + a/2 S x`.

    Args:
        num_ghosts: `(low, high)`, whole numbers from 2, both included: the period `n`; drawn
            per sample.
        intensity: `(low, high)`, `a` in [0, 1]; drawn per sample.
        centre: `(low, high)`, the proportion of lines, around the centre of k-space, that stay
            unchanged, in [0, 1]; drawn per sample. The central line always stays.
        axes: spatial axes that may be the phase-encoding axis. Default: all.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float; the result is a magnitude, and negative
        values lose their sign.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds, or an axis does not exist.

    Example:
    >>> import numpy as np
    >>> image = np.array([8, 0, 0, 0], "float32").reshape(1, 4, 1, 1)
    >>> layer = RandomGhosting(num_ghosts=2, intensity=0.5, centre=0, axes=[0])
    >>> np.round(np.asarray(layer(image)).ravel(), 3).tolist()
    [6.0, 0.0, 2.0, 0.0]

    Reference: Pérez-García et al., TorchIO, Computer Methods and Programs in Biomedicine 2021.
    """

    def __init__(
        self,
        num_ghosts: Annotated[WholeRange, Limits(2, 64)] = (2, 8),
        intensity: Proportion = (0, 0.8),
        centre: Proportion = 0.02,
        axes: Axes | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_ghosts=num_ghosts, intensity=intensity, centre=centre, axes=axes, **kwargs
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the axis, the period, the first line that is scaled, and the proportions."""
        period = random.integers(random.fold_in(key, "num_ghosts"), (), *self.num_ghosts)
        others = ops.cast(period - 1, "float32")
        first = ops.floor(random.uniform(random.fold_in(key, "first"), ()) * others)
        return {
            "axis": draw_axis(key, self.axes, shape),
            "num_ghosts": period,
            "first": 1 + ops.cast(ops.minimum(first, others - 1.0), "int32"),
            "intensity": self.uniform(key, "intensity", self.intensity),
            "centre": self.uniform(key, "centre", self.centre),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Scale every n-th line."""
        image = as_image(inputs)
        weights = [self._weights(draws, size) for size in image.shape[1:-1]]
        return magnitude(*filter_lines(image, weights, draws["axis"]))

    @staticmethod
    def _weights(draws: dict[str, Tensor], size: int) -> Tensor:
        line = line_frequency(size)[None] - draws["first"][:, None]
        periodic = ops.equal(ops.mod(line, draws["num_ghosts"][:, None]), 0)
        kept = central_lines(draws["centre"], size)
        scaled = ops.logical_and(periodic, ops.logical_not(kept))
        return 1.0 - draws["intensity"][:, None] * ops.cast(scaled, "float32")
