"""Random stacks of 2D slices."""

from typing import Any, Literal

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Axes, Offset, PositiveMillimetres, Spacing
from synthtf.layers.axes import axes_of, draw_axis, is_axis
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.linear import apply_along_axes
from synthtf.ops.slices import PROFILES, profile_reach, slice_matrix
from synthtf.ranges import per_axis


@keras.saving.register_keras_serializable(package="synthtf")
class RandomSlices(RandomLayer):
    """Acquire a stack of thick 2D slices with gaps or overlap, and interpolate it back.

    Across a random axis, slice `k` is the mean of the image under a profile `p` of the slice
    thickness `t`, and slices lie a thickness and a gap `g` apart:
    `s_k = Σ_z p(z - z_k) x(z) / Σ_z p(z - z_k)` with `z_k = z_0 + k (t + g)`. A stack starts at
    a random place. Slices are interpolated to the original grid, with the value of the first and
    the last slice beyond them. All of this is one matrix along the axis.

    `RandomResolution` is for voxels without gaps. Here fine structures in a gap are lost, and
    overlapping slices are blurred without being coarse.

    Args:
        thickness: `(low, high)`, mm, thickness of a slice, at least one voxel; drawn per sample.
        gap: `(low, high)`, mm between slices, negative for overlap; drawn per sample.
        in_plane: `(low, high)`, mm, voxel size along the other axes, treated in the same way but
            without gaps; drawn per sample. None leaves these axes alone.
        profile: "box", or "gaussian", whose full width at half maximum is the thickness.
        interpolation: "linear" or "nearest", between slices.
        axes: spatial axes that slices may lie across, one is drawn per sample: 0 for sagittal, 1
            for coronal, 2 for axial slices of a volume in RAS orientation. Default: all.
        spacing: mm per voxel, a scalar or one per axis. An axis where slices are as thin and as
            close as voxels stays as it is.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds, the overlap is as large as a slice,
            the profile or interpolation is unknown, or an axis does not exist.

    Example:
    >>> import numpy as np
    >>> image = np.arange(16, dtype="float32").reshape(1, 16, 1, 1)
    >>> layer = RandomSlices(thickness=4, gap=1, interpolation="nearest", axes=[0])
    >>> len(np.unique(layer(image))) in (3, 4)
    True

    Reference: Billot et al., SynthSeg, Medical Image Analysis 2023, and Iglesias et al., SynthSR,
        NeuroImage 2021, separate slice spacing from slice thickness in this way.
    """

    is_linear = True

    def __init__(
        self,
        thickness: PositiveMillimetres = (2, 6),
        gap: Offset = (0, 1),
        in_plane: PositiveMillimetres | None = None,
        profile: Literal[PROFILES] = "gaussian",
        interpolation: Literal["linear", "nearest"] = "linear",
        axes: Axes | None = None,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            thickness=thickness,
            gap=gap,
            in_plane=in_plane,
            profile=profile,
            interpolation=interpolation,
            axes=axes,
            spacing=spacing,
            **kwargs,
        )
        if self.thickness[0] + self.gap[0] <= 0:
            raise ValueError(
                "`gap` must be above `-thickness`, so that slices advance. "
                f"Received: thickness={thickness!r}, gap={gap!r}"
            )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the axis, sizes in mm, and where stacks start, as a share of a slice distance."""
        draws = {
            "axis": draw_axis(key, self.axes, shape),
            "thickness": self.uniform(key, "thickness", self.thickness),
            "gap": self.uniform(key, "gap", self.gap),
            "start": random.uniform(random.fold_in(key, "start"), (len(shape) - 2,)),
        }
        if self.in_plane is not None:
            draws["in_plane"] = self.uniform(key, "in_plane", self.in_plane)
        return draws

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Apply one matrix per axis."""
        image = as_image(inputs)
        return apply_along_axes(image, *self.matrices(tuple(image.shape), draws))

    def matrices(
        self, shape: tuple[int | None, ...], draws: dict[str, Tensor]
    ) -> tuple[list[Tensor | None], list[int]]:
        """Give the matrix of each axis, and how far from its diagonal it has entries.

        A size outside its range counts as its bound. An axis that is left alone has no matrix.
        """
        thickness = ops.clip(draws["thickness"], *self.thickness)
        distance = thickness + ops.clip(draws["gap"], *self.gap)
        across = axes_of(self.axes, shape)
        in_plane = 0.0 * thickness
        if self.in_plane is not None:
            in_plane = ops.clip(draws["in_plane"], *self.in_plane)
        matrices: list[Tensor | None] = []
        for d, mm in enumerate(per_axis(self.spacing, len(shape) - 2)):
            if d not in across and self.in_plane is None:
                matrices.append(None)
                continue
            size, here = shape[d + 1], is_axis(draws["axis"], d)
            apart = ops.maximum(ops.where(here, distance, in_plane) / mm, 1e-3)
            matrices.append(
                slice_matrix(
                    thickness=ops.where(here, thickness, in_plane) / mm,
                    distance=apart,
                    start=draws["start"][:, d] * ops.minimum(apart, size - 1.0),
                    size=size,
                    profile=self.profile,
                    nearest=self.interpolation == "nearest",
                )
            )
        spacing = per_axis(self.spacing, len(matrices))
        return matrices, [self._reach(mm) for mm in spacing]

    def _reach(self, mm: float) -> int:
        """Return the largest distance in voxels from which a voxel is influenced."""
        in_plane = 0.0 if self.in_plane is None else self.in_plane[1]
        thickness = max(self.thickness[1], in_plane)
        distance = max(self.thickness[1] + self.gap[1], in_plane)
        return int(distance / mm) + 1 + profile_reach(thickness / mm, self.profile)
