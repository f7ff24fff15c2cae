"""Random clipping at percentiles."""

import math
from typing import Annotated, Any

import keras
from keras import ops

from synthtf.arguments import Limits
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.ops.quantile import sampled_quantile
from synthtf.ranges import Range


@keras.saving.register_keras_serializable(package="synthtf")
class RandomClip(RandomLayer):
    """Clip intensities at a low and a high percentile, as tools do before they normalise.

    `min(max(x, Q(p)), Q(1 - q))` with the quantiles `Q` of a sample and channel, linear between
    order statistics. A proportion of zero clips nothing. Volumes of more than 2^15 voxels are
    sampled regularly: sorting all voxels would take as long as the rest of a recipe.

    Args:
        low: `(low, high)`, proportion of voxels that are clipped from below, in [0, 0.5];
            drawn per sample.
        high: `(low, high)`, proportion that is clipped from above.
        foreground: whether proportions count only voxels above zero; others stay as they are.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or leaves [0, 0.5].

    Example:
    >>> import numpy as np
    >>> image = np.arange(11, dtype="float32").reshape(1, 11, 1, 1)
    >>> clip = RandomClip(low=0.1, high=0.2, foreground=False)
    >>> np.asarray(clip(image)).round(4).ravel().tolist()
    [1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 8.0, 8.0]

    Reference: Isensee et al., nnU-Net, Nature Methods 2021, clips CT at percentiles of
        the foreground.
    """

    def __init__(
        self,
        low: Annotated[Range, Limits(0, 0.5)] = (0, 0.02),
        high: Annotated[Range, Limits(0, 0.5)] = (0, 0.02),
        foreground: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(low=low, high=high, foreground=foreground, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the proportions."""
        return {
            "low": self.uniform(key, "low", self.low),
            "high": self.uniform(key, "high", self.high),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Clip at quantiles of a sample of the voxels."""
        image = as_image(inputs)
        low, high = draws["low"], draws["high"]
        floor, ceiling = sampled_quantile(image, [low, 1.0 - high], above_zero=self.foreground)
        # The quantiles of 0 and 1 are those of the sampled voxels alone.
        floor = ops.where(expand(low, image) > 0, floor, -math.inf)
        ceiling = ops.where(expand(high, image) > 0, ceiling, math.inf)
        clipped = ops.minimum(ops.maximum(image, floor), ceiling)
        return ops.where(image > 0, clipped, image) if self.foreground else clipped
