"""Random acquisition resolution."""

import math
from typing import Annotated, Any, Literal

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, Spacing
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.linear import (
    apply_along_axes,
    blur_matrix,
    matrix_product,
    resample_matrix,
)
from synthtf.ranges import Range, per_axis

# A slice profile of full width at half maximum f is a Gaussian of this many f.
_FWHM_TO_STD = 1 / (2 * math.sqrt(2 * math.log(2)))


@keras.saving.register_keras_serializable(package="synthtf")
class RandomResolution(RandomLayer):
    """Downsample, then upsample to the original grid, both linearly.

    Args:
        factor: `(low, high)`, at least one: the voxel size to simulate, as a multiple
            of 1 mm. Nothing is done along an axis whose voxels are larger already.
        mode: "anisotropic" draws a factor per axis, "isotropic" one for all,
            "thick-slice" one for a single random axis, along which a Gaussian slice
            profile as wide as the slice is applied first.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Raises:
        ValueError: if the range is reversed or below one, or the mode is unknown.

    Example:
    >>> import numpy as np
    >>> image = np.arange(6, dtype="float32").reshape(1, 6, 1, 1) % 2
    >>> np.asarray(RandomResolution(factor=2)(image)).ravel().tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.5]

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025;
        thick slices: Billot et al., SynthSeg, Medical Image Analysis 2023.
    """

    def __init__(
        self,
        factor: Annotated[Range, Limits(1, unit="mm")] = (1, 4),
        mode: Literal["anisotropic", "isotropic", "thick-slice"] = "anisotropic",
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor=factor, mode=mode, spacing=spacing, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "factor" in mm, `(batch, ndim)`; zero where nothing is done."""
        ndim = len(shape) - 2
        size = ndim if self.mode == "anisotropic" else 1
        factor = self.uniform(key, "factor", self.factor, (size,))
        if self.mode == "thick-slice":
            axis = random.integers(random.fold_in(key, "axis"), (1,), 0, ndim - 1)
            here = ops.equal(axis, ops.arange(ndim, dtype="int32")[None])
            factor = factor * ops.cast(here, "float32")
        return {"factor": factor * ops.ones((1, ndim))}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Apply one matrix per axis; a factor outside the range counts as its bound."""
        image = as_image(inputs)
        matrices, bandwidth = [], []
        for d, mm in enumerate(per_axis(self.spacing, len(image.shape) - 2)):
            ratio = ops.clip(draws["factor"][:, d] / mm, 1.0, max(self.factor[1] / mm, 1.0))
            matrix = resample_matrix(ratio, image.shape[d + 1])
            if self.mode == "thick-slice":
                std = ops.where(ratio > 1.0, ratio * _FWHM_TO_STD, 0.0)
                matrix = matrix_product(matrix, blur_matrix(std, image.shape[d + 1]))
            matrices.append(matrix)
            bandwidth.append(self._reach(mm))
        return apply_along_axes(image, matrices, bandwidth)

    def _reach(self, mm: float) -> int:
        """How many voxels away a voxel is influenced from, at most."""
        ratio = max(self.factor[1] / mm, 1.0)
        profile = 4 * ratio * _FWHM_TO_STD if self.mode == "thick-slice" else 0
        return math.ceil(ratio) + 1 + math.ceil(profile)
