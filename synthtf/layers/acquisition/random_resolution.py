"""Random acquisition resolution."""

import math
from typing import Annotated, Any, Literal

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, Spacing
from synthtf.layers.base import RandomLayer, Tensor, as_image, as_labels
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
    """Downsample, then upsample to the original grid.

    Args:
        factor: `(low, high)`, at least one: the voxel size to simulate, as a multiple
            of 1 mm. An axis whose voxels are larger already stays as it is.
        mode: "anisotropic" draws a factor per axis, "isotropic" one for all,
            "thick-slice" one for a single random axis, along which a Gaussian slice
            profile as wide as the slice is applied first.
        interpolation: "linear" or "nearest", for downsampling and upsampling the image. Label
            maps always use nearest neighbour, without a slice profile.
        labels: whether, in a recipe, the target is resampled along.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: an image `(batch, *spatial, channels)`, float, or `[image, labels]` with a
        label map on the same grid.
    Output shape: the same, float32 and int32.

    Raises:
        ValueError: if the range is reversed or below one, or the mode or interpolation is unknown.

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
        interpolation: Literal["linear", "nearest"] = "linear",
        labels: bool = False,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            factor=factor,
            mode=mode,
            interpolation=interpolation,
            labels=labels,
            spacing=spacing,
            **kwargs,
        )

    @property
    def takes(self) -> tuple[str, ...]:
        """The image, and the target as well."""
        return ("image", "labels") if self.labels else ("image",)

    @property
    def gives(self) -> tuple[str, ...]:
        """The same."""
        return self.takes

    @property
    def is_linear(self) -> bool:
        """Unless it resamples a label map."""
        return not self.labels

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "factor" in mm, `(batch, ndim)`; zero where nothing is done."""
        ndim = len(shape) - 2
        size = ndim if self.mode == "anisotropic" else 1
        factor = self.uniform(key, "factor", self.factor, (size,))
        if self.mode == "thick-slice":
            axis = random.integers(random.fold_in(key, "axis"), (1,), 0, ndim - 1)
            here = ops.equal(axis, ops.arange(ndim, dtype="int32")[None])
            factor = factor * ops.cast(here, "float32")
        return {"factor": factor * ops.ones((1, ndim), "float32")}

    def transform(self, inputs: Any, draws: dict[str, Tensor]) -> Any:
        """Resample the image, and the labels if there are any."""
        if not isinstance(inputs, list | tuple):
            return self._image(as_image(inputs), draws)
        image, labels = inputs
        return [self._image(as_image(image), draws), self._labels(as_labels(labels), draws)]

    def _ratios(self, draws: dict[str, Tensor], ndim: int) -> list[Tensor]:
        """Old voxels per new voxel and axis; a factor outside the range counts as its bound."""
        return [
            ops.clip(draws["factor"][:, d] / mm, 1.0, max(self.factor[1] / mm, 1.0))
            for d, mm in enumerate(per_axis(self.spacing, ndim))
        ]

    def _labels(self, labels: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Pick the nearest label along each axis."""
        ndim = len(labels.shape) - 2
        for d, ratio in enumerate(self._ratios(draws, ndim)):
            voxel = ops.cast(_nearest_voxel(ratio, labels.shape[d + 1]), "int32")
            line = (-1, *(labels.shape[d + 1] if k == d else 1 for k in range(ndim)), 1)
            labels = ops.take_along_axis(labels, ops.reshape(voxel, line), axis=d + 1)
        return labels

    def _image(self, image: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Apply one matrix per axis."""
        return apply_along_axes(image, *self.matrices(tuple(image.shape), draws))

    def matrices(
        self, shape: tuple[int | None, ...], draws: dict[str, Tensor]
    ) -> tuple[list[Tensor], list[int]]:
        """Give the matrix of each axis, and how far from its diagonal it has entries."""
        ndim = len(shape) - 2
        matrices, bandwidth = [], []
        for d, ratio in enumerate(self._ratios(draws, ndim)):
            if self.interpolation == "nearest":
                matrix = _nearest_matrix(ratio, shape[d + 1])
            else:
                matrix = resample_matrix(ratio, shape[d + 1])
            if self.mode == "thick-slice":
                std = ops.where(ratio > 1.0, ratio * _FWHM_TO_STD, 0.0)
                matrix = matrix_product(matrix, blur_matrix(std, shape[d + 1]))
            matrices.append(matrix)
            bandwidth.append(self._reach(per_axis(self.spacing, ndim)[d]))
        return matrices, bandwidth

    def _reach(self, mm: float) -> int:
        """Return the largest distance in voxels from which a voxel is influenced."""
        ratio = max(self.factor[1] / mm, 1.0)
        profile = 4 * ratio * _FWHM_TO_STD if self.mode == "thick-slice" else 0
        return math.ceil(ratio) + 1 + math.ceil(profile)


def _nearest_voxel(ratio: Tensor, size: int) -> Tensor:
    """Voxel whose value each voxel takes, `(batch, size)`: the one nearest to its coarse sample."""
    ratio = ratio[:, None]
    coarse = ops.floor(ops.arange(size, dtype="float32")[None] / ratio + 0.5)
    return ops.minimum(ops.floor(coarse * ratio + 0.5), size - 1.0)


def _nearest_matrix(ratio: Tensor, size: int) -> Tensor:
    """Down- and upsampling by nearest neighbour as a matrix, `(batch, size, size)`."""
    here = ops.equal(_nearest_voxel(ratio, size)[..., None], ops.arange(size, dtype="float32"))
    return ops.cast(here, "float32")
