"""Random truncation of k-space."""

from typing import Any

import keras
from keras import ops

from synthtf.arguments import Axes, Proportion
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.kspace import central_lines, line_filter
from synthtf.ops.linear import apply_along_axes


@keras.saving.register_keras_serializable(package="synthtf")
class RandomTruncation(RandomLayer):
    """Cut off high spatial frequencies: Gibbs ringing beside edges.

    `|F⁻¹ M F x|`, where `M` keeps the frequencies `|f| <= p n / 2` of each axis of `n` voxels
    and sets the others to zero, like scanners that interpolate to a finer grid. The cut is
    sharp, and the image keeps its size.

    Args:
        proportion: `(low, high)`, `p` in [0, 1], share of each axis of k-space that is kept;
            drawn per sample and axis. At 0.5, the true voxels are twice as large as the image's.
        axes: spatial axes that may be cut. Default: all.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float; the result is a magnitude, and negative
        values lose their sign.
    Output shape: the same, float32.

    Raises:
        ValueError: if the range is reversed or leaves [0, 1], or an axis does not exist.

    Example:
    >>> import numpy as np
    >>> image = np.array([6, 0, 0], "float32").reshape(1, 3, 1, 1)
    >>> np.round(np.asarray(RandomTruncation(proportion=0)(image)).ravel(), 3).tolist()
    [2.0, 2.0, 2.0]

    Reference: Czervionke et al., Characteristic features of MR truncation artifacts, AJR 1988;
        Veraart et al., Gibbs ringing in diffusion MRI, MRM 2016.
    """

    def __init__(
        self, proportion: Proportion = (0.5, 1), axes: Axes | None = None, **kwargs: Any
    ) -> None:
        super().__init__(proportion=proportion, axes=axes, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the proportion kept of each axis."""
        ndim = len(shape) - 2
        if self.axes is not None and max(self.axes) >= ndim:
            raise ValueError(f"{self.name}: axes {self.axes} are not all spatial in shape {shape}")
        return {"proportion": self.uniform(key, "proportion", self.proportion, (ndim,))}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Apply one matrix per axis; as the cut is symmetric, they are real."""
        image = as_image(inputs)
        matrices: list[Tensor | None] = [None] * (len(image.shape) - 2)
        for d in range(len(matrices)) if self.axes is None else self.axes:
            kept = central_lines(draws["proportion"][:, d], image.shape[d + 1])
            matrices[d] = line_filter(ops.cast(kept, "float32"))[0]
        return ops.abs(apply_along_axes(image, matrices))
