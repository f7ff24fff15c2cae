"""Random partial Fourier acquisition."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Axes, Limits
from synthtf.layers.axes import draw_axis
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.kspace import filter_lines, magnitude
from synthtf.ranges import Range


@keras.saving.register_keras_serializable(package="synthtf")
class RandomPartialFourier(RandomLayer):
    """Leave one end of k-space empty along one random axis.

    `|F⁻¹ M F x|`, where `M` keeps the first or the last `p n` of `n` lines. The magnitude of
    the zero-filled acquisition is blurred along that axis: frequencies that were acquired on one
    side only have half their amplitude.

    Args:
        fraction: `(low, high)`, `p` in [0.5, 1]; drawn per sample. The centre of k-space is
            always acquired.
        axes: spatial axes that may be the phase-encoding axis. Default: all.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float; the result is a magnitude, and negative
        values lose their sign.
    Output shape: the same, float32.

    Raises:
        ValueError: if the range is reversed or leaves [0.5, 1], or an axis does not exist.

    Example:
    >>> import numpy as np
    >>> image = np.array([3, 0, 0], "float32").reshape(1, 3, 1, 1)
    >>> layer = RandomPartialFourier(fraction=0.6, axes=[0])
    >>> np.round(np.asarray(layer(image)).ravel(), 3).tolist()
    [2.0, 1.0, 1.0]

    Reference: McGibney et al., Quantitative evaluation of several partial Fourier
        reconstruction algorithms used in MRI, MRM 1993.
    """

    def __init__(
        self,
        fraction: Annotated[Range, Limits(0.5, 1)] = (0.6, 1),
        axes: Axes | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fraction=fraction, axes=axes, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the axis, the fraction, and "side": 0 keeps the first lines, 1 the last."""
        return {
            "axis": draw_axis(key, self.axes, shape),
            "fraction": self.uniform(key, "fraction", self.fraction),
            "side": random.integers(random.fold_in(key, "side"), (), 0, 1),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Keep the lines that are acquired."""
        image = as_image(inputs)
        weights = [self._weights(draws, size) for size in image.shape[1:-1]]
        return magnitude(*filter_lines(image, weights, draws["axis"]))

    @staticmethod
    def _weights(draws: dict[str, Tensor], size: int) -> Tensor:
        acquired = ops.maximum(ops.round(draws["fraction"] * size), size // 2 + 1.0)[:, None]
        line = ops.arange(size, dtype="float32")[None]
        from_end = ops.where(ops.equal(draws["side"], 0)[:, None], line, size - 1.0 - line)
        return ops.cast(from_end < acquired, "float32")
