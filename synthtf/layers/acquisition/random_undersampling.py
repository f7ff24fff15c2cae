"""Random undersampling of k-space."""

from typing import Annotated, Any, Literal

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Axes, Limits, Proportion
from synthtf.layers.axes import draw_axis
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.kspace import central_lines, filter_lines, line_frequency, magnitude
from synthtf.ranges import Range


@keras.saving.register_keras_serializable(package="synthtf")
class RandomUndersampling(RandomLayer):
    """Skip k-space lines of one random axis.

    `|F⁻¹ M F x|`, where `M` keeps the lines around the centre of k-space and, of the others,
    one in `R`. The lines that are skipped are zero, without reconstruction from several coils
    and without density compensation.

    "regular": every `R`-th line, from the central one; the object's edges appear again `R`
    times, evenly spaced (aliasing). "random": each line with a probability of `1 / R`; the
    aliasing is incoherent, like noise.

    Args:
        acceleration: `(low, high)`, `R`, at least 1, not necessarily whole; drawn per sample.
        centre: `(low, high)`, the proportion of lines, around the centre of k-space, that are
            all sampled, in [0, 1]; drawn per sample. The central line is always sampled.
        pattern: "regular" or "random".
        axes: spatial axes that may be the phase-encoding axis. Default: all.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float; the result is a magnitude, and negative
        values lose their sign.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds, the pattern is unknown, or an
            axis does not exist.

    Example:
    >>> import numpy as np
    >>> image = np.array([8, 0, 0, 0], "float32").reshape(1, 4, 1, 1)
    >>> layer = RandomUndersampling(acceleration=2, centre=0, axes=[0])
    >>> np.round(np.asarray(layer(image)).ravel(), 3).tolist()
    [4.0, 0.0, 4.0, 0.0]

    Reference: Zbontar et al., fastMRI: an open dataset and benchmarks for accelerated MRI,
        arXiv:1811.08839, 2018; Lustig et al., Sparse MRI, MRM 2007.
    """

    def __init__(
        self,
        acceleration: Annotated[Range, Limits(1)] = (1, 4),
        centre: Proportion = (0.08, 0.3),
        pattern: Literal["regular", "random"] = "regular",
        axes: Axes | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            acceleration=acceleration, centre=centre, pattern=pattern, axes=axes, **kwargs
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the axis, the acceleration, the centre and, at random, one number per line."""
        draws = {
            "axis": draw_axis(key, self.axes, shape),
            "acceleration": self.uniform(key, "acceleration", self.acceleration),
            "centre": self.uniform(key, "centre", self.centre),
        }
        if self.pattern == "random":
            chance = random.fold_in(key, "line")
            draws["chance"] = random.uniform(chance, (max(shape[1:-1]),))
        return draws

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Keep the lines that are sampled."""
        image = as_image(inputs)
        weights = [self._weights(draws, size) for size in image.shape[1:-1]]
        return magnitude(*filter_lines(image, weights, draws["axis"]))

    def _weights(self, draws: dict[str, Tensor], size: int) -> Tensor:
        acceleration = draws["acceleration"][:, None]
        if self.pattern == "random":
            sampled = draws["chance"][:, :size] * acceleration < 1.0
        else:
            line = ops.cast(line_frequency(size), "float32")[None]
            # True where a multiple of the acceleration lies in (line - 1, line].
            sampled = ops.floor(line / acceleration) > ops.floor((line - 1.0) / acceleration)
        sampled = ops.logical_or(sampled, central_lines(draws["centre"], size))
        return ops.cast(sampled, "float32")
