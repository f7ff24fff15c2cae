"""Random masking by label."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, Millimetres, Offset, Spacing
from synthtf.label_arguments import Labels, as_label_list
from synthtf.layers.base import RandomLayer, Tensor, as_image, as_labels, expand, known_grid
from synthtf.layers.border_field import draw_border, farthest_border, is_still, make_border
from synthtf.layers.scene import Scene
from synthtf.ops.distance import signed_distance
from synthtf.ops.labels import map_labels
from synthtf.ranges import Range


@keras.saving.register_keras_serializable(package="synthtf")
class RandomMask(RandomLayer):
    """Set the image to zero outside given labels, as skull-stripping does.

    The mask may be too tight or too wide, like those of real tools: it then holds the voxels
    whose signed distance to the border of the labels is below `border + roughness F(x)`, with `F`
    a smooth field of `N(0, 1)`, cut off at three standard deviations. If sulci are not among
    the labels, their walls are borders, too: list the CSF to move only the outer border.

    Args:
        labels: label values that are kept. None: in a recipe, those of the brain in the label
            table.
        optional: label values that are kept or removed together, at random per sample, such as
            the CSF around the brain. None: in a recipe, that CSF; else there are none.
        border: `(low, high)`, mm by which the mask is moved; below 0 into the labels, above 0
            beyond them. Drawn per sample.
        roughness: `(low, high)`, mm, standard deviation of that movement in space; drawn per
            sample.
        roughness_size: `(low, high)`, mm between the lattice points of that variation, whose
            bumps are about twice as wide; drawn per sample.
        spacing: mm per voxel, a scalar or one per axis; only for a border that moves.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `[image, labels]`: float `(batch, *spatial, channels)` and integer
        `(batch, *spatial, 1)`.
    Output shape: that of the image, float32.

    Raises:
        ValueError: if no label is given or one is negative, a range is reversed or out of
            bounds, or a border moves and the spatial shape is not known.

    Example:
    >>> import numpy as np
    >>> labels = np.array([0, 2, 258], "int32").reshape(1, 3, 1, 1)
    >>> image = np.ones((1, 3, 1, 1), "float32")
    >>> np.asarray(RandomMask(labels=[2])([image, labels])).ravel().tolist()
    [0.0, 1.0, 0.0]

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025; Hoopes et
        al., SynthStrip, NeuroImage 2022, for borders as signed distances.
    """

    takes, from_table, step_name = ("image", "view"), ("labels",), "skull_strip"
    hides = True

    def __init__(
        self,
        labels: Labels | None = None,
        optional: Annotated[Sequence[int], partial(as_label_list, empty=True)] | None = None,
        border: Offset = (0, 0),
        roughness: Millimetres = (0, 0),
        roughness_size: Annotated[Range, Limits(1, unit="mm")] = (10, 40),
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            labels=labels,
            optional=optional,
            border=border,
            roughness=roughness,
            roughness_size=roughness_size,
            spacing=spacing,
            **kwargs,
        )

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the brain, and the CSF around it."""
        labels, optional = self.labels, self.optional
        return {
            **super().bind(scene),
            "labels": scene.brain(self.name) if labels is None else labels,
            "optional": scene.csf() if optional is None and labels is None else optional,
        }

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "keep", one where the optional labels are kept, else zero, and the border."""
        draws = {}
        if self.optional:
            draws["keep"] = random.integers(random.fold_in(key, "keep"), (), 0, 1)
        if not is_still(self.border, self.roughness):
            ranges = (self.border, self.roughness, self.roughness_size)
            draws |= draw_border(random.fold_in(key, "border"), *ranges, *known_grid(self, shape))
        return draws

    def transform(self, inputs: list[Tensor], draws: dict[str, Tensor]) -> Tensor:
        """Multiply by the mask."""
        image, labels = inputs
        # Added to one, so that label 0 can be kept although a look-up gives 0 by default.
        labels = as_labels(labels) + 1
        mask = map_labels(labels, {v + 1: 1 for v in self.labels})
        if self.optional:
            optional = map_labels(labels, {v + 1: 1 for v in self.optional})
            mask = ops.maximum(mask, optional * expand(draws["keep"], optional))
        if "border" in draws:
            mask = self._moved(mask == 1, draws)
        return as_image(image) * ops.cast(mask, "float32")

    def _moved(self, mask: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Move the border of a mask."""
        shape, spacing = known_grid(self, mask.shape)
        farthest = farthest_border(self.border, self.roughness)
        # Measured beyond the farthest border, so that voxels out of reach compare correctly.
        distance = signed_distance(mask, spacing, farthest + min(spacing))
        return distance < make_border(draws, shape, spacing, farthest)

    def identity(self, inputs: list[Tensor]) -> Tensor:
        """Keep the image."""
        return as_image(inputs[0])

    def output_spec(self, inputs: list[Any]) -> Any:
        """The image."""
        return keras.KerasTensor(inputs[0].shape, "float32")
