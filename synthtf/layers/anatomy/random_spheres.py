"""Label maps of many separate objects."""

import math
from typing import Annotated, Any

import keras
from keras import ops, tree

from synthtf import random
from synthtf.arguments import Limits, PositiveMillimetres, Proportion, Spacing
from synthtf.layers.anatomy.label_source import LabelSource
from synthtf.layers.base import Tensor, expand
from synthtf.ops.blobs import spline_matrix
from synthtf.ops.indexing import take_per_sample
from synthtf.ops.linear import apply_along_axes
from synthtf.ops.resampling import axis_grid, clamp, sample_linear, upsample
from synthtf.ranges import Range, per_axis

# Of the grid that distances are computed on, then upsampled from.
_VOXELS_PER_POINT = 2
# Variance of a cubic B-spline of white noise, averaged over the places between two points.
_SPLINE_VARIANCE = 0.4794


@keras.saving.register_keras_serializable(package="synthtf")
class RandomSpheres(LabelSource):
    """Replace label maps by spheres that are not quite round, each with a label of its own.

    Centres lie on a lattice, shifted as a whole and jittered one by one. A voxel `x` belongs to
    the sphere whose power distance `|x - c|² - r²` is smallest, so that spheres that overlap
    meet in a plane, if it lies within

        |x - c| < r · (1 + irregularity · clip(g / 2, -1, 1)),

    where `g` is smooth noise, about `N(0, 1)`, at the point of the sphere in the direction of
    `x`. The objects are star-convex. The jitter and the largest radius together keep within one
    cell of the lattice, so that a voxel compares no more than the corners of its cell. This is
    done for every second voxel: gaps between spheres that are narrower than that may close.

    Args:
        radius: `(low, high)`, mm; drawn per sphere.
        distance: `(low, high)`, mm between the points of the lattice.
        jitter: largest displacement of a centre, per axis, in distances; in [0, 0.5].
        dropped: `(low, high)`, share of the spheres that is left out, in [0, 1].
        irregularity: `(low, high)`, largest relative deviation of the radius, in [0, 0.9].
            0: spheres.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`. A sample that is left alone keeps its label map.

    Input shape: `(batch, *spatial, channels)`; unless `probability` is below 1, only its shape
        matters.
    Output shape: `(batch, *spatial, 1)`, int32, 0 between the spheres, whose labels are from 1
        to `largest_label(shape)`. Not all occur.

    Raises:
        ValueError: if a range is reversed or out of bounds, if spheres do not fit into their
            cells, or if the spatial shape is not known when a model is built.

    Example:
    >>> import numpy as np
    >>> canvas = np.zeros((1, 64, 64, 1), "int32")
    >>> layer = RandomSpheres(radius=(4, 8), distance=20)
    >>> labels = np.asarray(layer(canvas))
    >>> labels.shape, bool(labels.max() <= layer.largest_label(canvas.shape))
    ((1, 64, 64, 1), True)

    Reference: Dey et al., AnyStar: domain randomized universal star-convex 3D instance
        segmentation, WACV 2024. There, too, spheres on a jittered lattice lose up to a third of
        their number and are deformed by noise; here ranges are in mm.
    """

    def __init__(
        self,
        radius: PositiveMillimetres = (4, 10),
        distance: PositiveMillimetres = (20, 32),
        jitter: Annotated[float, Limits(0, 0.5)] = 0.25,
        dropped: Proportion = (0, 0.33),
        irregularity: Annotated[Range, Limits(0, 0.9)] = (0, 0.4),
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            radius=radius,
            distance=distance,
            jitter=jitter,
            dropped=dropped,
            irregularity=irregularity,
            spacing=spacing,
            **kwargs,
        )
        largest = self.radius[1] * (1 + self.irregularity[1])
        room = self.distance[0] * (1 - self.jitter)
        if largest > room * (1 + 1e-6):
            raise ValueError(
                "The largest `radius`, `irregularity` included, must not exceed the smallest "
                f"`distance` less the `jitter`. Received: {largest:g} mm, more than {room:g} mm"
            )

    def largest_label(self, shape: tuple[int | None, ...]) -> int:
        """Give the largest label that can occur for an input `(batch, *spatial, channels)`."""
        return math.prod(self._lattice(shape))

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the lattice, the place and radius of each sphere, and the noise."""
        ndim, number = len(shape) - 2, self.largest_label(shape)
        return {
            "distance": self.uniform(key, "distance", self.distance),
            "shift": self.uniform(key, "shift", (0.0, 1.0), (ndim,)),
            "jitter": self.uniform(key, "jitter", (-self.jitter, self.jitter), (number, ndim)),
            "radius": self.uniform(key, "radius", self.radius, (number,)),
            "dropped": self.uniform(key, "dropped", self.dropped),
            "chance": self.uniform(key, "chance", (0.0, 1.0), (number,)),
            "irregularity": self.uniform(key, "irregularity", self.irregularity),
            "noise": random.normal(random.fold_in(key, "noise"), self._noise_lattice(shape)),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Compare distances on a coarse grid, and upsample the smallest."""
        shape = tuple(tree.flatten(inputs)[0].shape)
        extent, grid = self.extent(shape), self._grid(shape)
        step = [mm / max(n - 1, 1) for mm, n in zip(extent, grid, strict=True)]
        places = [axis_grid(n, d, len(grid)) * step[d] for d, n in enumerate(grid)]
        centres, squared_radius = self._spheres(draws, shape)
        winner = self._closest(draws, places, centres, squared_radius, shape)
        offsets = [
            place - take_per_sample(centre, winner)
            for place, centre in zip(places, centres, strict=True)
        ]
        squared_radius = take_per_sample(squared_radius, winner)
        power = sum(ops.square(x) for x in offsets)
        if self.irregularity[1]:
            noise = self._surface_noise(draws, offsets, places, squared_radius, step)
            deviation = expand(draws["irregularity"], noise) * ops.clip(noise / 2, -1.0, 1.0)
            # The squared radius of a sphere that is left out is negative, and stays negative.
            squared_radius = squared_radius * ops.square(1.0 + deviation)
        return self._upsample(power - squared_radius, winner + 1, step, shape)[..., None]

    def _spheres(self, draws: dict[str, Tensor], shape: tuple) -> tuple[list[Tensor], Tensor]:
        """Give each sphere's centre in mm, per axis, and squared radius: `(batch, number)`."""
        lattice = self._lattice(shape)
        distance, centres = draws["distance"][:, None], []
        for d in range(len(lattice)):
            number = ops.broadcast_to(axis_grid(lattice[d], d, len(lattice)), (1, *lattice))
            place = (
                ops.reshape(number, (1, -1)) - draws["shift"][:, d, None] + draws["jitter"][..., d]
            )
            centres.append(place * distance)
        exists = draws["chance"] >= draws["dropped"][:, None]
        # Out of the way, yet no further than needed, since distances are interpolated.
        nowhere = -ops.square(distance)
        return centres, ops.where(exists, ops.square(draws["radius"]), nowhere)

    def _closest(
        self,
        draws: dict[str, Tensor],
        places: list[Tensor],
        centres: list[Tensor],
        squared_radius: Tensor,
        shape: tuple,
    ) -> Tensor:
        """Give the number of the sphere of the smallest power distance, `(batch, *grid)`."""
        ndim, lattice = len(places), self._lattice(shape)
        # Less `|x|²`, which all share, power distances are linear in `x`.
        tables = [sum(ops.square(c) for c in centres) - squared_radius, *(-2 * c for c in centres)]
        tables = [ops.reshape(x, (-1, *lattice)) for x in tables]
        distance, lower = draws["distance"][:, None], []
        for d, place in enumerate(places):
            cell = ops.floor(ops.reshape(place, (1, -1)) / distance + draws["shift"][:, d, None])
            lower.append(clamp(cell, lattice[d] - 1))
        power = _linear_in_cells(tables, places, lower)
        number = ops.zeros_like(power, "int32")
        for d in range(ndim):
            (power, other), numbers = (
                ops.split(power, 2, axis=d + 1),
                ops.split(number, 2, axis=d + 1),
            )
            number = ops.where(other < power, numbers[1] + 2**d, numbers[0])
            power = ops.minimum(power, other)
        index = 0
        for d, cell in enumerate(lower):
            line = (-1, *(cell.shape[1] if a == d else 1 for a in range(ndim)))
            upper = ops.bitwise_and(ops.right_shift(number, d), 1)
            index = index * lattice[d] + upper + ops.reshape(ops.cast(cell, "int32"), line)
        return index

    def _surface_noise(
        self,
        draws: dict[str, Tensor],
        offsets: list[Tensor],
        places: list[Tensor],
        squared_radius: Tensor,
        step: list[float],
    ) -> Tensor:
        """Give the noise where the ray from the centre through a place leaves the sphere."""
        grid = tuple(offsets[0].shape[1:])
        lattice = draws["noise"].shape[1:]
        spread = [spline_matrix(n, m) for n, m in zip(grid, lattice, strict=True)]
        noise = apply_along_axes(draws["noise"][..., None], spread)
        noise = noise * _SPLINE_VARIANCE ** (-len(grid) / 2)
        length = ops.maximum(ops.sqrt(sum(ops.square(x) for x in offsets)), 1e-3)
        outwards = ops.sqrt(ops.maximum(squared_radius, 0.0)) / length - 1.0
        at = [
            clamp((place + outwards * x) / max(mm, 1e-6), n)
            for place, x, mm, n in zip(places, offsets, step, grid, strict=True)
        ]
        return sample_linear([ops.reshape(noise, (-1,))], at, grid, ops.shape(noise)[0])[0]

    def _upsample(self, power: Tensor, labels: Tensor, step: list[float], shape: tuple) -> Tensor:
        """Give the labels of voxels where the power distance is negative."""
        spatial, grid = shape[1:-1], labels.shape[1:]
        excess = 0.0
        for d, (size, points) in enumerate(zip(spatial, grid, strict=True)):
            place = axis_grid(size, d, len(grid)) * ((points - 1) / max(size - 1, 1))
            # What linear interpolation adds to a square.
            share = place - ops.floor(place)
            excess = excess + step[d] ** 2 * share * (1.0 - share)
            if size != points:
                nearest = ops.cast(ops.round(ops.reshape(place, (-1,))), "int32")
                labels = ops.take(labels, nearest, axis=d + 1)
        return ops.where(upsample(power, spatial) < excess, labels, 0)

    def _lattice(self, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """Give the number of lattice points that the smallest distance needs."""
        return tuple(math.ceil(mm / self.distance[0]) + 2 for mm in self.extent(shape))

    def _grid(self, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """Give the number of points that distances are computed on."""
        self.extent(shape)
        spacing = per_axis(self.spacing, len(shape) - 2)
        coarse = [self.radius[0] >= _VOXELS_PER_POINT * mm for mm in spacing]
        return tuple(
            math.ceil((n - 1) / _VOXELS_PER_POINT) + 1 if c else n
            for n, c in zip(shape[1:-1], coarse, strict=True)
        )

    def _noise_lattice(self, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        """Give the points of the noise: about one per mean radius."""
        size = sum(self.radius) / 2
        return tuple(math.ceil(mm / size) + 2 for mm in self.extent(shape))


def _linear_in_cells(tables: list[Tensor], places: list[Tensor], lower: list[Tensor]) -> Tensor:
    """Evaluate the linear functions that belong to the corners of the cell of each place.

    Args:
        tables: values at zero and slopes along each axis, of the points of a lattice, each
            `(batch, *lattice)`.
        places: one tensor per axis that broadcasts to `(batch, *grid)`.
        lower: the cell of each place, `(batch, n)`, one per axis.

    Returns:
        float32 tensor `(batch, 2 n, ...)`: along each axis for the lower corners, then the upper.
    """
    value, *slopes = (x[..., None] for x in tables)
    matrices: list[Any] = [None] * len(places)
    for d, (place, cell) in enumerate(zip(places, lower, strict=True)):
        points = ops.arange(value.shape[d + 1], dtype="float32")
        pick = ops.concatenate([cell, cell + 1.0], axis=1)[..., None]
        pick = ops.cast(ops.equal(pick, points), "float32")
        line = ops.tile(ops.reshape(place, (1, -1, 1)), (1, 2, 1))
        pick, scaled = ([*matrices[:d], x, *matrices[d + 1 :]] for x in (pick, pick * line))
        value = apply_along_axes(value, pick) + apply_along_axes(slopes[0], scaled)
        slopes = [apply_along_axes(x, pick) for x in slopes[1:]]
    return value[..., 0]
