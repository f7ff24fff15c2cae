"""Randomly eroded and dilated structures."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf.arguments import Limits, Millimetres, Offset, Spacing
from synthtf.label_arguments import Label, Regions
from synthtf.layers.base import RandomLayer, Tensor, as_labels, known_grid
from synthtf.layers.border_field import draw_border, farthest_border, is_still, make_border
from synthtf.layers.scene import Scene
from synthtf.ops.labels import map_labels
from synthtf.ops.nearest import nearest_label
from synthtf.ranges import Range


@keras.saving.register_keras_serializable(package="synthtf")
class RandomErosion(RandomLayer):
    """Move the border between given labels and all others inwards or outwards.

    Label maps differ in where they draw a border, and cortex gets thinner with age. The region of
    all `labels` together becomes the voxels whose signed distance to its border is below

        t(x) = distance + roughness F(x),

    with `F` a smooth field of `N(0, 1)`, cut off at three standard deviations. Voxels that the
    region loses (t < 0) take `fill`; those that it gains (t > 0) take the label of the closest
    voxel of the region. Borders within the region stay.

    Args:
        labels: label values of the region, or, in a recipe, names of regions of the label table.
        distance: `(low, high)`, mm; below 0 erodes, above dilates. Drawn per sample.
        roughness: `(low, high)`, mm, standard deviation of the variation in space; drawn per
            sample.
        roughness_size: `(low, high)`, mm between the lattice points of that variation, whose
            bumps are about twice as wide; drawn per sample.
        fill: label of lost voxels. Default: the label of the closest voxel outside the region.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: the same, int32.

    Raises:
        ValueError: if no label is given or one is negative, a range is reversed or out of
            bounds, or the spatial shape is not known.

    Example:
    >>> import numpy as np
    >>> labels = np.array([9, 9, 9, 9, 2, 3, 3, 3], "int32").reshape(1, 8, 1, 1)
    >>> layer = RandomErosion([2, 3], distance=2, roughness=0, spacing=(1, 1))
    >>> np.asarray(layer(labels)).ravel().tolist()
    [9, 9, 2, 2, 2, 3, 3, 3]

    Reference: Hoopes et al., SynthStrip, NeuroImage 2022, for borders as signed distances; Maurer
        et al., A linear time algorithm for computing exact Euclidean distance transforms, IEEE
        PAMI 2003.
    """

    takes, gives, from_table = ("labels",), ("labels",), ("labels",)

    def __init__(
        self,
        labels: Regions = ("brain",),
        distance: Offset = (-2, 2),
        roughness: Millimetres = (0, 1),
        roughness_size: Annotated[Range, Limits(1, unit="mm")] = (10, 40),
        fill: Label | None = None,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            labels=labels,
            distance=distance,
            roughness=roughness,
            roughness_size=roughness_size,
            fill=fill,
            spacing=spacing,
            **kwargs,
        )

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the labels."""
        return {**super().bind(scene), "labels": scene.labels(self.labels)}

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw how the border moves: "border" (mm) and the variation."""
        ranges = (self.distance, self.roughness, self.roughness_size)
        return draw_border(key, *ranges, *known_grid(self, shape))

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Compare distances with the movement of the border."""
        labels = as_labels(inputs)
        if is_still(self.distance, self.roughness):
            return labels
        shape, spacing = known_grid(self, labels.shape)
        farthest = farthest_border(self.distance, self.roughness)
        border = make_border(draws, shape, spacing, farthest)
        # Added to one, so that label 0 can be listed although a look-up gives 0 by default.
        region = map_labels(labels + 1, {v + 1: 1 for v in self.labels}) == 1
        others = ops.logical_not(region)
        half = min(spacing) / 2
        limit = farthest + 2 * half  # so that a voxel beyond reach is farther than any border
        out = labels
        if self.distance[0] < 0 or self.roughness[1] > 0:
            depth, beyond = nearest_label(labels, others, spacing, limit)
            lost = ops.logical_and(region, half - depth >= border)
            out = ops.where(lost, beyond if self.fill is None else self.fill, out)
        if self.distance[1] > 0 or self.roughness[1] > 0:
            height, own = nearest_label(labels, region, spacing, limit)
            out = ops.where(ops.logical_and(others, height - half < border), own, out)
        return out

    def output_spec(self, inputs: Any) -> Any:
        """A label map."""
        known_grid(self, tuple(inputs.shape))  # refuses a shape that is not known
        return keras.KerasTensor(inputs.shape, "int32")
