"""Random streaks of computed tomography."""

import math
from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Axis, Limits, PositiveMillimetres, Spacing
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.indexing import take_per_sample
from synthtf.ops.linear import matrix_product
from synthtf.ops.polar import turn
from synthtf.ranges import Range, WholeRange, per_axis


@keras.saving.register_keras_serializable(package="synthtf")
class RandomStreaks(RandomLayer):
    """Add streaks that radiate from metal, as in computed tomography.

    Dense objects harden the beam and leave too few photons: bright and dark rays run from them
    through the slices that hold them. In closed form, about each source,

        out = image + intensity Σ_s p_s(θ) / (1 + r / reach) · exp(-(z - z_s)² / 2 extent²),

    with `r` and `θ` in the plane of the slice, `z` across it, and `p` a
    periodic random profile, linear between `num_rays` values uniform in [-1, 1]. Sources lie
    uniformly in the inner half of the field of view.

    Args:
        intensity: `(low, high)`, intensity of the strongest rays at their source, in units of
            the image; drawn per sample.
        num_sources: `(low, high)`, whole numbers; drawn per sample.
        num_rays: `(low, high)`, whole numbers, values of the profile around a source;
            drawn per source.
        reach: `(low, high)`, distance in mm at which the streaks fall to half; drawn per source.
        extent: `(low, high)`, standard deviation of a source across slices, in mm; drawn
            per source.
        axis: spatial axis across slices, 2 for axial ones in RAS. An image of two axes is a slice.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float, 2D or 3D. Channels share the streaks.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds, or the axis does not exist.

    Example:
    >>> import numpy as np
    >>> image = RandomStreaks(intensity=0.2)(np.zeros((1, 32, 32, 1), "float32"))
    >>> bool(np.min(image) < 0 < np.max(image))
    True

    Reference: Barrett and Keat, Artifacts in CT: recognition and avoidance, RadioGraphics 2004;
        De Man et al., Metal streak artifacts in X-ray computed tomography, IEEE TNS 1999. A
        picture of these streaks, without projections.
    """

    def __init__(
        self,
        intensity: Annotated[Range, Limits(0)] = (0, 0.4),
        num_sources: Annotated[WholeRange, Limits(1, 64)] = (1, 3),
        num_rays: Annotated[WholeRange, Limits(2, 1024)] = (24, 96),
        reach: PositiveMillimetres = (10, 60),
        extent: PositiveMillimetres = (2, 8),
        axis: Axis = 2,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            intensity=intensity,
            num_sources=num_sources,
            num_rays=num_rays,
            reach=reach,
            extent=extent,
            axis=axis,
            spacing=spacing,
            **kwargs,
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the intensity, the number of sources, and the properties of each source.

        The position, `(batch, sources, ndim)`, is a share of the field of view.
        """
        ndim, most = len(shape) - 2, self.num_sources[1]
        num_sources = random.fold_in(key, "num_sources")
        num_rays = random.fold_in(key, "num_rays")
        profile = random.fold_in(key, "profile")
        return {
            "intensity": self.uniform(key, "intensity", self.intensity),
            "num_sources": random.integers(num_sources, (), *self.num_sources),
            "num_rays": random.integers(num_rays, (most,), *self.num_rays),
            "reach": self.uniform(key, "reach", self.reach, (most,)),
            "extent": self.uniform(key, "extent", self.extent, (most,)),
            "position": self.uniform(key, "position", (0.25, 0.75), (most, ndim)),
            "profile": random.uniform(profile, (most, self.num_rays[1]), -1.0, 1.0),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Add the streaks of each source, a plane times a profile across planes."""
        image = as_image(inputs)
        shape = tuple(image.shape[1:-1])
        ndim = len(shape)
        axes = [d for d in range(ndim) if ndim == 2 or d != self.axis]
        across = [d for d in range(ndim) if d not in axes]
        offset = self._offsets(shape, draws)
        first, second = (shape[d] for d in axes)
        x = offset[axes[0]][..., None] * ops.ones((1, 1, 1, second), "float32")
        y = offset[axes[1]][:, :, None] * ops.ones((1, 1, first, 1), "float32")
        plane = self._rays(turn(x, y), draws)
        radius = ops.sqrt(ops.square(x) + ops.square(y))
        plane = plane / (1.0 + radius / draws["reach"][..., None, None])
        source = ops.arange(draws["reach"].shape[1], dtype="int32")[None]
        present = ops.cast(source < draws["num_sources"][:, None], "float32")
        weight = (draws["intensity"][:, None] * present)[..., None]
        plane = plane * weight[..., None]
        if not across:
            return image + ops.sum(plane, axis=1)[..., None]
        plane = ops.reshape(plane, (-1, plane.shape[1], first * second))
        height = offset[across[0]] / draws["extent"][..., None]
        line = in_whole_vectors(ops.exp, -0.5 * ops.square(height))
        streaks = matrix_product(ops.transpose(plane, (0, 2, 1)), line)
        streaks = ops.reshape(streaks, (-1, first, second, shape[across[0]]))
        return image + ops.moveaxis(streaks, 3, self.axis + 1)[..., None]

    def _offsets(self, shape: tuple[int, ...], draws: dict[str, Tensor]) -> list[Tensor]:
        """Distance in mm from each source along each axis, `(batch, sources, size)`."""
        offsets = []
        for d, (size, mm) in enumerate(zip(shape, per_axis(self.spacing, len(shape)), strict=True)):
            place = draws["position"][..., d, None] * (size - 1.0)
            offsets.append((ops.arange(size, dtype="float32") - place) * mm)
        return offsets

    def _rays(self, angle: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Look up the profile at shares of a turn `(batch, sources, *plane)`."""
        sources, capacity = draws["profile"].shape[1:]
        shape = angle.shape[1:]
        rays = draws["num_rays"][..., None, None]
        position = angle * ops.cast(rays, "float32")
        lower = ops.minimum(ops.cast(ops.floor(position), "int32"), rays - 1)
        weight = position - ops.cast(lower, "float32")
        upper = ops.where(lower + 1 < rays, lower + 1, 0)
        table = ops.reshape(draws["profile"], (-1, sources * capacity))
        start = ops.reshape(ops.arange(sources, dtype="int32") * capacity, (1, sources, 1, 1))

        def at(index: Tensor) -> Tensor:
            flat = ops.reshape(index + start, (-1, math.prod(shape)))
            return ops.reshape(take_per_sample(table, flat), (-1, *shape))

        return (1.0 - weight) * at(lower) + weight * at(upper)
