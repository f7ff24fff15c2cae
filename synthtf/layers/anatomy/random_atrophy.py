"""Random growth and shrinkage of structures."""

from typing import Annotated, Any, Literal

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, PositiveMillimetres, Spacing
from synthtf.label_arguments import RegionGroups
from synthtf.layers.base import RandomLayer, Tensor, as_labels, expand, known_grid
from synthtf.layers.scene import Scene
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.labels import barycenter, map_labels
from synthtf.ops.radial import radial_compression, radial_scaling, shortest_decay
from synthtf.ops.resampling import axis_grid, resample
from synthtf.ranges import Range, per_axis

# Of one structure alone, and of all that overlap; 1 would fold.
_LIMIT, _LIMIT_OF_SUM = 0.8, 0.9


@keras.saving.register_keras_serializable(package="synthtf")
class RandomAtrophy(RandomLayer):
    """Shrink or grow structures by a known volume ratio, and give the warp as ground truth.

    A structure of `ndim` axes, of barycentre `c` and largest distance `r` from it, changes by the
    ratio `V` through the displacement, from output to input,

        u(x) = a (x - c) w((|x - c| - R) / D),   a = V^(-1/ndim) - 1,   R = r max(1, V^(1/ndim)),

    exact scaling within `R`, whose weight `w` falls smoothly from 1 to 0 over `D` mm. `D` is
    `decay`, or more where that would leave too little room for what surrounds a large structure
    that shrinks. Fields of several structures add up. Where they overlap so much that their sum
    could fold, all `a` of the sample are reduced together; the Jacobian determinant is always
    positive. In the balls of radius `R`, other tissue scales along with the structure; where
    several balls overlap, structures change by more or less than their own ratio: list labels
    that lie side by side, such as both lateral ventricles, as one structure. All this suits
    compact structures best: the ball of long ones, such as the ventricles, holds most of a brain.

    Args:
        labels: structures: label values, lists of values that change as one structure, or, in a
            recipe, names of regions of the label table.
        volume_change: `(low, high)`, volume after over volume before, in [0.4, 2.5]; drawn per
            structure.
        decay: `(low, high)`, mm, above 0, over which the displacement falls to zero; drawn per
            sample.
        choice: "one" random structure changes in each sample, or "all". A structure that a label
            map does not hold leaves it as it is.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: `[labels, displacement]`: the moved label map, int32 `(batch, *spatial, 1)`, and
        the field, float32 `(batch, *spatial, ndim)` in voxels, with which `Resample` moves
        anything else.

    Raises:
        ValueError: if there is no structure, a label is negative or listed twice, a range is
            reversed or out of bounds, or the choice is unknown.

    Example:
    >>> import numpy as np
    >>> labels = np.zeros((1, 32, 32, 1), "int32")
    >>> labels[:, 12:20, 12:20] = 4
    >>> moved, field = RandomAtrophy([4], volume_change=2.25, decay=6)(labels)
    >>> int(np.sum(np.asarray(moved) == 4)), tuple(field.shape)
    (144, (1, 32, 32, 2))

    Reference: Karaçali and Davatzikos, Simulation of tissue atrophy using a topology preserving
        transformation model, IEEE TMI 2006, and Khanal et al., A biophysical model of brain
        deformation to simulate and analyze longitudinal MRIs of patients with Alzheimer's
        disease, NeuroImage 2016, prescribe volume changes in a warp; here in closed form.
    """

    takes, gives, from_table = ("labels",), ("labels", "transform"), ("labels",)

    def __init__(
        self,
        labels: RegionGroups = ("ventricle",),
        volume_change: Annotated[Range, Limits(0.4, 2.5)] = (0.7, 1.5),
        decay: PositiveMillimetres = 20.0,
        choice: Literal["one", "all"] = "all",
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            labels=labels,
            volume_change=volume_change,
            decay=decay,
            choice=choice,
            spacing=spacing,
            **kwargs,
        )

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the labels of each structure."""
        return {**super().bind(scene), "labels": scene.label_groups(self.labels)}

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the volume ratios, "decay" (mm), and the number of a "structure" if one."""
        num = len(self.labels)
        draws = {
            "volume_change": self.uniform(key, "volume_change", self.volume_change, (num,)),
            "decay": self.uniform(key, "decay", self.decay),
        }
        if self.choice == "one":
            structure = random.fold_in(key, "structure")
            draws["structure"] = random.integers(structure, (), 0, num - 1)
        return draws

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> list[Tensor]:
        """Make the field, and move the labels with it."""
        labels = as_labels(inputs)
        shape = tuple(labels.shape[1:-1])
        spacing = per_axis(self.spacing, len(shape))
        change = draws["volume_change"]
        index = map_labels(labels, {v: k for k, s in enumerate(self.labels, 1) for v in s})
        if "structure" in draws:
            chosen = draws["structure"]
            picked = ops.one_hot(chosen, len(self.labels), dtype="float32")
            change = ops.sum(change * picked, axis=1, keepdims=True)
            masks = [ops.equal(index, expand(chosen + 1, index))]
        else:
            masks = [ops.equal(index, k) for k in range(1, len(self.labels) + 1)]
        places = [_place(mask, shape, spacing) for mask in masks]
        centre, extent, found = (ops.stack(parts, axis=1) for parts in zip(*places, strict=True))

        log_scale = in_whole_vectors(ops.log, change) / len(shape)
        amount = found * (in_whole_vectors(ops.exp, -log_scale) - 1.0)
        radius = extent * ops.maximum(1.0, 1.0 / (1.0 + amount))
        decay = ops.maximum(draws["decay"][:, None], shortest_decay(radius, amount, _LIMIT))
        amount = _limited(amount, centre, radius, decay)

        field = [0.0] * len(shape)
        for k in range(len(masks)):
            own = (centre[:, k], radius[:, k], decay[:, k], amount[:, k])
            parts = radial_scaling(*own, shape, spacing)
            field = [total + part for total, part in zip(field, parts, strict=True)]
        field = [part * (1.0 / mm) for part, mm in zip(field, spacing, strict=True)]
        field = ops.stack(field, axis=-1)
        return [resample(labels, field, "nearest"), field]

    def identity(self, inputs: Tensor) -> list[Tensor]:
        """The label map and no displacement; the field broadcasts over the batch."""
        labels = as_labels(inputs)
        spatial = tuple(labels.shape[1:-1])
        return [labels, ops.zeros((1, *spatial, len(spatial)), "float32")]

    def output_spec(self, inputs: Any) -> list[Any]:
        """A label map and a field."""
        spatial, _ = known_grid(self, inputs.shape)
        field = keras.KerasTensor((inputs.shape[0], *spatial, len(spatial)), "float32")
        return [keras.KerasTensor(inputs.shape, "int32"), field]


def _place(mask: Tensor, shape: tuple, spacing: tuple) -> tuple[Tensor, Tensor, Tensor]:
    """Barycentre (mm), largest distance from it to an edge of a voxel (mm), and 1 if not empty."""
    ndim = len(shape)
    share = barycenter(ops.cast(mask, "float32"))[:, 0]
    centre = ops.stack(
        [
            (share[:, d] * n + (n - 1) / 2) * mm
            for d, (n, mm) in enumerate(zip(shape, spacing, strict=True))
        ],
        axis=-1,
    )
    squared = 0.0
    for d in range(ndim - 1, -1, -1):
        at = axis_grid(shape[d], d, ndim) * spacing[d]
        squared = ops.square(at - ops.reshape(centre[:, d], (-1,) + (1,) * ndim)) + squared
    axes = tuple(range(1, ndim + 1))
    farthest = ops.max(ops.where(mask[..., 0], squared, -1.0), axis=axes)
    extent = ops.sqrt(ops.relu(farthest)) + max(spacing) / 2
    return centre, extent, ops.cast(farthest >= 0, "float32")


def _limited(amount: Tensor, centre: Tensor, radius: Tensor, decay: Tensor) -> Tensor:
    """Reduce the amounts of a sample where the compressions of overlapping fields add up."""
    compression = radial_compression(radius, decay, amount)
    apart = ops.sqrt(ops.sum(ops.square(centre[:, :, None] - centre[:, None]), axis=-1))
    reach = radius + decay
    overlap = ops.cast(apart < reach[:, :, None] + reach[:, None], "float32")
    total = ops.max(ops.sum(overlap * compression[:, None], axis=-1), axis=-1, keepdims=True)
    return amount * ops.minimum(1.0, _LIMIT_OF_SUM / ops.maximum(total, 1e-7))
