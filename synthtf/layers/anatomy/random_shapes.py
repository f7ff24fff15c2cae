"""Random label maps that show no anatomy."""

import math
from typing import Annotated, Any

import keras
from keras import ops, tree

from synthtf import random
from synthtf.arguments import ControlPoints, Limits, Millimetres, PositiveMillimetres, Spacing
from synthtf.layers.anatomy.label_source import LabelSource
from synthtf.layers.base import Tensor, expand, known_grid
from synthtf.ops.blobs import spline_matrix
from synthtf.ops.linear import apply_along_axes
from synthtf.ops.noise import value_noise
from synthtf.ops.resampling import axis_grid, clamp, sample_linear
from synthtf.ranges import WholeRange

# Points per lattice cell of the grid that the warped noise is made on, then upsampled from.
_NOISE_POINTS_PER_CELL = 4
_WARP_POINTS_PER_CELL = 2
# Below any noise, for labels beyond the number of labels of a sample.
_NEVER = -1e6


@keras.saving.register_keras_serializable(package="synthtf")
class RandomShapes(LabelSource):
    """Replace label maps by random shapes: smooth regions that touch, of many sizes.

    Each label draws a lattice of `N(0, 1)`, interpolated linearly and warped by a smooth field
    of its own: `p_j(x) = n_j(x + u_j(x))`. A voxel takes the label `j` whose `p_j` is largest.
    Networks that learn from such maps alone register brains that they have never seen.

    SynthMorph adds up noise of two scales in each label; here each label draws its scale. The
    warped noise is made on a grid of four points per lattice cell (two per cell of the warp),
    upsampled by a cubic B-spline, which rounds off the kinks of the interpolation, and compared
    one label at a time, so that memory does not grow with the number of labels.

    Args:
        num_labels: number of labels J, or `(low, high)`, whole numbers; drawn per sample. Some
            may lose everywhere and not occur. The cost is that of the largest number.
        size: `(low, high)`, mm between the lattice points of a label's noise; drawn per label.
            Shapes are about that wide.
        warp_strength: `(low, high)`, mm, largest component of `u_j`; drawn per label.
        control_points: `(low, high)`, of the warps, drawn per sample and axis.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`. A sample that is left alone keeps its label map.

    Input shape: `(batch, *spatial, channels)`; unless `probability` is below 1, only its shape
        matters.
    Output shape: `(batch, *spatial, 1)`, int32, labels from 1 to (the largest) `num_labels`.

    Raises:
        ValueError: if a range is reversed or out of bounds, if `size` is below the voxel size,
            or if the spatial shape is not known when a model is built.

    Example:
    >>> import numpy as np
    >>> canvas = np.zeros((1, 64, 64, 1), "int32")
    >>> shapes = np.asarray(RandomShapes(num_labels=5, size=16)(canvas))
    >>> shapes.shape, bool(shapes.min() >= 1), bool(shapes.max() <= 5)
    ((1, 64, 64, 1), True, True)

    Reference: Hoffmann et al., SynthMorph: learning contrast-invariant registration without
        acquired images, IEEE TMI 2022, where J is 26. In its authors' code (neurite), scales of
        32 and 64 voxels for the noise, of 16, 32 and 64 for the warps.
    """

    def __init__(
        self,
        num_labels: Annotated[WholeRange, Limits(1, 1000)] = 26,
        size: PositiveMillimetres = (32, 64),
        warp_strength: Millimetres = (0, 16),
        control_points: ControlPoints = (3, 11),
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_labels=num_labels,
            size=size,
            warp_strength=warp_strength,
            control_points=control_points,
            spacing=spacing,
            **kwargs,
        )

    def largest_label(self, shape: tuple[int | None, ...]) -> int:
        """Give the largest label that can occur, whatever the shape of the input."""
        return self.num_labels[1]

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the noise of each label, its size and shift, and its warp."""
        ndim, (fewest, labels) = len(shape) - 2, self.num_labels
        warp_lattice = (labels, *(self.control_points[1],) * ndim, ndim)
        points = random.fold_in(key, "control_points")
        draws = {
            "noise": random.normal(random.fold_in(key, "noise"), (labels, *self._lattice(shape))),
            "size": self.uniform(key, "size", self.size, (labels,)),
            "shift": self.uniform(key, "shift", (-0.5, 0.5), (labels, ndim)),
            "warp": self.uniform(key, "warp", (0.0, 1.0), warp_lattice),
            "warp_strength": self.uniform(key, "warp_strength", self.warp_strength, (labels,)),
            "control_points": random.integers(points, (ndim,), *self.control_points),
        }
        if fewest < labels:
            number = random.fold_in(key, "num_labels")
            draws["num_labels"] = random.integers(number, (), fewest, labels)
        return draws

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Make the noise of one label after the other, and keep the largest."""
        shape = tuple(tree.flatten(inputs)[0].shape)
        grid = self._grid(shape)
        spread = [
            None if n == m else spline_matrix(n, m) for n, m in zip(shape[1:-1], grid, strict=True)
        ]

        def field(label: Any) -> Tensor:
            coarse = self._warped_noise(draws, label, shape, grid)
            return apply_along_axes(coarse[..., None], spread)

        def compare(label: Any, best: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            largest, winner = best
            here = field(label)
            if "num_labels" in draws:
                exists = ops.cast(label, "int32") < draws["num_labels"]
                here = ops.where(expand(exists, here), here, _NEVER)
            winner = ops.where(here > largest, ops.cast(label + 1, "int32"), winner)
            return ops.maximum(here, largest), winner

        first = field(0)
        best = (first, ops.ones_like(first, "int32"))
        return ops.fori_loop(1, self.num_labels[1], compare, best)[1]

    def _warped_noise(
        self, draws: dict[str, Tensor], label: Any, shape: tuple, grid: tuple[int, ...]
    ) -> Tensor:
        """Noise of one label, warped, on the grid: `(batch, *grid)`."""
        ndim = len(grid)
        noise, size, shift, warp, strength = (
            ops.take(draws[name], label, axis=1)
            for name in ("noise", "size", "shift", "warp", "warp_strength")
        )
        lattice = tuple(noise.shape[1:])
        warp = 2.0 * value_noise(warp, draws["control_points"], grid) - 1.0
        at = []
        for d, extent in enumerate(self.extent(shape)):
            step = extent / max(grid[d] - 1, 1)
            place = axis_grid(grid[d], d, ndim) * step - extent / 2
            place = place + expand(strength, warp[..., d]) * warp[..., d]
            middle = (lattice[d] - 1) / 2 + shift[:, d]
            place = place / expand(size, place) + expand(middle, place)
            at.append(clamp(place, lattice[d]))
        return sample_linear([ops.reshape(noise, (-1,))], at, lattice, ops.shape(noise)[0])[0]

    def extent(self, shape: tuple[int | None, ...]) -> tuple[float, ...]:
        """Check the size of the shapes as well."""
        _, spacing = known_grid(self, shape)
        if self.size[0] < max(spacing):
            raise ValueError(
                f"{self.name}: `size` must be at least the voxel size. "
                f"Received: size={self.size} mm, spacing={spacing} mm"
            )
        return super().extent(shape)

    def _lattice(self, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """Give the number of lattice points that the smallest size needs, warps included."""
        margin = 2 * self.warp_strength[1]
        return tuple(math.ceil((mm + margin) / self.size[0]) + 2 for mm in self.extent(shape))

    def _grid(self, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """Give the number of points that noise and warps are made on."""
        warp = _WARP_POINTS_PER_CELL * (self.control_points[1] - 1) + 1
        points = [
            max(math.ceil(_NOISE_POINTS_PER_CELL * mm / self.size[0]) + 1, warp)
            for mm in self.extent(shape)
        ]
        return tuple(min(n, m) for n, m in zip(shape[1:-1], points, strict=True))
