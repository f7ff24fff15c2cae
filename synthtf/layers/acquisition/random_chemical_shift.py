"""Random chemical shift of fat."""

import math
from typing import Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Offset, Spacing
from synthtf.label_arguments import Regions
from synthtf.layers.base import RandomLayer, Tensor, as_image, as_labels
from synthtf.layers.scene import Scene
from synthtf.ops.labels import map_labels
from synthtf.ops.shift import select_axis, translate
from synthtf.ranges import per_axis


@keras.saving.register_keras_serializable(package="synthtf")
class RandomChemicalShift(RandomLayer):
    """Shift fat along the readout axis.

    Protons of fat precess 3.5 ppm more slowly than those of water: by 450 Hz at 3 T, or two
    voxels at a bandwidth of 225 Hz per voxel. Fat moves by this distance. It leaves a dark rim
    on one side, and a bright one on the other, where it overlaps with water:

        out = image (1 - fat) + translate(image · fat, shift),
        shift = 3.5e-6 · γ/2π · B₀ / bandwidth · voxel size.

    The axis is drawn uniformly per sample; between voxels, the shift is linear. Zeros come in
    at the border.

    Args:
        fat_labels: label values of fat: marrow, scalp, orbits; or, in a recipe, names of regions
            of the label table.
        shift: `(low, high)`, in mm; drawn per sample. A negative shift has the other direction.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `[image, labels]`: float `(batch, *spatial, channels)` and integer
        `(batch, *spatial, 1)`.
    Output shape: that of the image, float32.

    Raises:
        ValueError: if no label is given or one is negative, or the range is reversed.

    Example:
    >>> import numpy as np
    >>> labels = np.array([1, 2, 1, 1], "int32").reshape(1, 4, 1, 1)
    >>> image = np.ones((1, 4, 1, 1), "float32")
    >>> layer = RandomChemicalShift(fat_labels=[2], shift=1)
    >>> draws = {"axis": np.zeros(1, "int32"), "shift": np.ones(1, "float32")}
    >>> np.asarray(layer.apply([image, labels], draws)).ravel().tolist()
    [1.0, 0.0, 2.0, 1.0]

    Reference: Hood et al., Chemical shift: the artifact and clinical tool revisited,
        RadioGraphics 1999.
    """

    takes, from_table = ("image", "view"), ("fat_labels",)

    def __init__(
        self, fat_labels: Regions, shift: Offset = (-3, 3), spacing: Spacing = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(fat_labels=fat_labels, shift=shift, spacing=spacing, **kwargs)

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find fat."""
        return {**super().bind(scene), "fat_labels": scene.labels(self.fat_labels)}

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the axis and the shift in mm."""
        ndim = len(shape) - 2
        return {
            "axis": random.integers(random.fold_in(key, "axis"), (), 0, ndim - 1),
            "shift": self.uniform(key, "shift", self.shift),
        }

    def transform(self, inputs: list[Tensor], draws: dict[str, Tensor]) -> Tensor:
        """Take fat out, move it and put it back; a shift outside the range counts as its bound."""
        image, labels = as_image(inputs[0]), as_labels(inputs[1])
        # Added to one, so that label 0 can be fat although a look-up gives 0 by default.
        fat = map_labels(labels + 1, {v + 1: 1 for v in self.fat_labels})
        fat = image * ops.cast(fat, "float32")
        ndim = len(image.shape) - 2
        voxel = per_axis(self.spacing, ndim)
        reach = [math.ceil(max(map(abs, self.shift)) / mm) for mm in voxel]
        shift = ops.clip(draws["shift"], *self.shift)[:, None] * select_axis(draws["axis"], ndim)
        shift = shift / ops.convert_to_tensor([voxel], dtype="float32")
        return image - fat + translate(fat, shift, reach)

    def identity(self, inputs: list[Tensor]) -> Tensor:
        """Keep the image."""
        return as_image(inputs[0])

    def output_spec(self, inputs: list[Any]) -> Any:
        """The image."""
        return keras.KerasTensor(inputs[0].shape, "float32")
