"""Random trees of vessels."""

import math
from typing import Annotated, Any, Literal

import keras
from keras import ops, tree

from synthtf import random
from synthtf.arguments import Limits, Millimetres, Spacing
from synthtf.layers.anatomy.label_source import LabelSource
from synthtf.layers.base import Tensor
from synthtf.ops.blobs import Windows, paint, windows
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ranges import Range, WholeRange, per_axis

# Smallest share of the blood that a branch takes: `r1³ / r0³`.
_LEAST_SHARE = 0.2
# Voxels between the points of a centre-line.
_STEP = 0.75


@keras.saving.register_keras_serializable(package="synthtf")
class RandomVessels(LabelSource):
    """Replace label maps by trees of vessels that fork again and again.

    A tree starts at a random point, in a random direction. The direction of a branch wanders,
    `u(t) = (u0 + tortuosity · W(t)) / |...|`, with a Brownian motion `W` from t = 0 to 1 along
    the branch. Its end is where two others start, in a random plane, with radii of Murray's law
    and the angles to the parent at which vessels of these radii need the least power,

        r0³ = r1³ + r2³,    cos(θ1) = (r0⁴ + r1⁴ - r2⁴) / (2 r0² r1²),    θ2 likewise:

    the smaller branch turns off, the larger one goes on. Vessels are at least a voxel thick.
    The cost grows with the number of trees and the volume of their branches in voxels.

    Args:
        num_trees: `(low, high)`, trees per sample, whole numbers.
        radius: `(low, high)`, mm, of the first branch; drawn per tree.
        length: `(low, high)`, mm, of the first branch; drawn per branch, and less for later ones,
            in proportion to their radius.
        num_levels: generations of branches, a whole number; a tree has `2^num_levels - 1`.
        tortuosity: `(low, high)`; drawn per sample. 0: straight branches.
        label_by: "vessel": all are 1. "tree": trees count from 1. "level": generations do.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`. A sample that is left alone keeps its label map.

    Input shape: `(batch, *spatial, channels)`; unless `probability` is below 1, only its shape
        matters.
    Output shape: `(batch, *spatial, 1)`, int32, 0 outside of vessels.

    Raises:
        ValueError: if a range is reversed or out of bounds, if a number is not whole, or if the
            spatial shape is not known when a model is built.

    Example:
    >>> import numpy as np
    >>> canvas = np.zeros((1, 64, 64, 1), "int32")
    >>> np.unique(RandomVessels(num_trees=3, length=20)(canvas)).tolist()
    [0, 1]

    Reference: Chollet et al., Neurovascular segmentation in sOCT with deep learning and synthetic
        training data, 2024, where trees of tubes of splines are the labels. Murray, The
        physiological principle of minimum work, PNAS 1926, and, for the angles, Murray, The
        physiological principle of minimum work applied to the angle of branching of arteries,
        J Gen Physiol 1926.
    """

    def __init__(
        self,
        num_trees: Annotated[WholeRange, Limits(0, 100)] = (1, 5),
        radius: Millimetres = (1, 3),
        length: Millimetres = (20, 60),
        num_levels: Annotated[int, Limits(1, 8)] = 5,
        tortuosity: Annotated[Range, Limits(0)] = (0, 1),
        label_by: Literal["vessel", "tree", "level"] = "vessel",
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_trees=num_trees,
            radius=radius,
            length=length,
            num_levels=num_levels,
            tortuosity=tortuosity,
            label_by=label_by,
            spacing=spacing,
            **kwargs,
        )
        if not self.num_trees[1]:
            raise ValueError(
                f"`num_trees` must allow at least one. Received: num_trees={num_trees!r}"
            )

    def largest_label(self, shape: tuple[int | None, ...]) -> int:
        """Give the largest label that can occur, whatever the shape of the input."""
        return {"vessel": 1, "tree": self.num_trees[1], "level": self.num_levels}[self.label_by]

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the roots, the length and path of each branch, and plane and shares of each fork."""
        ndim, trees = len(shape) - 2, self.num_trees[1]
        number = random.fold_in(key, "num_trees")
        draws = {
            "num_trees": random.integers(number, (), *self.num_trees),
            "root": self.uniform(key, "root", (0.0, 1.0), (trees, ndim)),
            "direction": random.normal(random.fold_in(key, "direction"), (trees, ndim)),
            "radius": self.uniform(key, "radius", self.radius, (trees,)),
            "tortuosity": self.uniform(key, "tortuosity", self.tortuosity),
        }
        for level, points in enumerate(self._num_points(shape)):
            branches = trees * 2**level
            way = random.fold_in(key, f"way_{level}")
            draws[f"way_{level}"] = random.normal(way, (branches, points, ndim))
            draws[f"length_{level}"] = self.uniform(
                key, f"length_{level}", self.length, (branches,)
            )
            if level:
                side = random.fold_in(key, f"side_{level}")
                draws[f"side_{level}"] = random.normal(side, (branches // 2, ndim))
                shares = (_LEAST_SHARE, 1 - _LEAST_SHARE)
                draws[f"share_{level}"] = self.uniform(
                    key, f"share_{level}", shares, (branches // 2,)
                )
        return draws

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Paint balls along all branches at once."""
        shape = tuple(tree.flatten(inputs)[0].shape)
        values, index = [], []
        for level, (points, radius) in enumerate(self.centre_lines(draws, shape)):
            around, inside = self._balls(points, radius, level, shape[1:-1])
            label = self._labels(draws["num_trees"], level, radius.shape[1])
            label = ops.repeat(label, points.shape[2], axis=1)
            label = ops.reshape(label, (-1, label.shape[1], *(1,) * (len(shape) - 2)))
            size = math.prod(inside.shape[1:])
            values.append(ops.reshape(ops.where(inside, label, 0), (-1, size)))
            index.append(ops.reshape(around.index, (-1, size)))
        values, index = (ops.concatenate(x, axis=1) for x in (values, index))
        labels = paint(values, index, shape[1:-1])
        if self.label_by == "level":
            # The largest value stays, and is to be that of the wider vessel.
            labels = ops.where(labels > 0, self.num_levels + 1 - labels, 0)
        return labels

    def centre_lines(
        self, draws: dict[str, Tensor], shape: tuple[int | None, ...]
    ) -> list[tuple[Tensor, Tensor]]:
        """Give the points and the radii of the branches of each generation, in mm.

        Args:
            draws: as `sample` returns them.
            shape: shape of the input, with the batch axis.

        Returns:
            Per generation, points `(batch, branches, points, ndim)` from the first voxel of the
            volume, those of a branch's first child at twice its number, and radii
            `(batch, branches)`.
        """
        extent = ops.convert_to_tensor([float(mm) for mm in self.extent(shape)], "float32")
        start, direction = draws["root"] * extent, _unit(draws["direction"])
        first = radius = draws["radius"]
        lines = []
        for level, number in enumerate(self._num_points(shape)):
            if level:
                share, side = draws[f"share_{level}"], draws[f"side_{level}"]
                direction, radius = _fork(direction, radius, share, side)
                start, first = (ops.repeat(x, 2, axis=1) for x in (start, first))
            length = draws[f"length_{level}"] * radius / ops.maximum(first, 1e-6)
            # W(t), from the standard deviation of its steps.
            way = ops.cumsum(draws[f"way_{level}"], axis=2) / math.sqrt(number)
            way = ops.reshape(draws["tortuosity"], (-1, 1, 1, 1)) * way
            ways = _unit(direction[:, :, None] + way)
            step = length[..., None, None] / number
            points = start[:, :, None] + ops.cumsum(ways * step, axis=2)
            lines.append((ops.concatenate([start[:, :, None], points], axis=2), radius))
            start, direction = points[:, :, -1], ways[:, :, -1]
        return lines

    def _balls(
        self, points: Tensor, radius: Tensor, level: int, spatial: tuple[int, ...]
    ) -> tuple[Windows, Tensor]:
        """Return windows around all points of one generation, and their voxels of vessel."""
        branches, number = points.shape[1:3]
        spacing = per_axis(self.spacing, len(spatial))
        columns = [
            ops.reshape(points[..., d] / mm, (-1, branches * number))
            for d, mm in enumerate(spacing)
        ]
        around = windows(columns, self._largest_radius(level), spacing, spatial)
        radius = ops.repeat(radius, number, axis=1)
        radius = ops.reshape(radius, (-1, branches * number, *(1,) * len(spatial)))
        return around, ops.logical_or(around.squared <= ops.square(radius), around.is_centre)

    def _labels(self, num_trees: Tensor, level: int, branches: int) -> Tensor:
        """Give the value that each branch is painted with, `(batch, branches)`."""
        root = ops.arange(branches, dtype="int32") // 2**level
        value = {"vessel": 0 * root, "tree": root, "level": 0 * root + self.num_levels - 1 - level}
        return ops.where(root < num_trees[:, None], value[self.label_by] + 1, 0)

    def _largest_radius(self, level: int) -> float:
        """Give the largest radius of a generation, in mm."""
        return self.radius[1] * (1 - _LEAST_SHARE) ** (level / 3)

    def _num_points(self, shape: tuple[int | None, ...]) -> list[int]:
        """Give the number of steps of the branches of each generation."""
        self.extent(shape)
        step = _STEP * min(per_axis(self.spacing, len(shape) - 2))
        lengths = (
            self.length[1] * (1 - _LEAST_SHARE) ** (level / 3) for level in range(self.num_levels)
        )
        return [max(math.ceil(mm / step), 1) for mm in lengths]


def _fork(direction: Tensor, radius: Tensor, share: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """Give directions and radii of two children of each branch, one after the other.

    Args:
        direction: `(batch, branches, ndim)`, unit vectors.
        radius: `(batch, branches)`.
        share: `(batch, branches)`, `r1³ / r0³`.
        side: `(batch, branches, ndim)`, normal; what of it is across the branch is where the
            first child turns.
    """
    shares = ops.stack([share, 1.0 - share], axis=-1)
    ratios = in_whole_vectors(lambda x: ops.power(x, 1 / 3), shares)
    squares = ops.square(ratios)
    fourths = ops.square(squares)
    cosine = (1.0 + fourths - ops.flip(fourths, axis=-1)) / (2.0 * squares)
    sine = ops.sqrt(ops.maximum(1.0 - ops.square(cosine), 0.0))
    across = _unit(side - direction * ops.sum(direction * side, axis=-1, keepdims=True))
    turn = ops.stack([sine[..., 0], -sine[..., 1]], axis=-1)[..., None] * across[:, :, None]
    children = cosine[..., None] * direction[:, :, None] + turn
    branches = 2 * radius.shape[1]
    radii = ops.reshape(radius[..., None] * ratios, (-1, branches))
    return _unit(ops.reshape(children, (-1, branches, direction.shape[-1]))), radii


def _unit(x: Tensor) -> Tensor:
    """Scale vectors along the last axis to a length of one."""
    length = ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True))
    return x / ops.maximum(length, 1e-7)
