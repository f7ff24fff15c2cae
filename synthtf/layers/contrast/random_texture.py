"""Random smooth texture within labels."""

import math
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, PositiveMillimetres, Spacing
from synthtf.label_arguments import DistinctLabels, Groups, check_one_per_label
from synthtf.layers.base import RandomLayer, Tensor, as_image, as_labels
from synthtf.layers.scene import Scene
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.labels import look_up
from synthtf.ops.linear import apply_along_axes
from synthtf.ranges import Range, per_axis

_FWHM_TO_STD = 1 / (2 * math.sqrt(2 * math.log(2)))
# Control points per full width at half maximum: the sum over them is then as good as smooth.
_POINTS_PER_SIZE = 2
# Control points beyond each border, so that the field has no edges there.
_MARGIN = 2


@keras.saving.register_keras_serializable(package="synthtf")
class RandomTexture(RandomLayer):
    """Add variation of low spatial frequency within labels.

    Tissue is not uniform: myelin, iron and vessels vary over millimetres to centimetres.
    Two independent fields `F₁, F₂` of smoothed Gaussian noise with variance one everywhere
    serve all labels: `x + std[label] (F₁ cos φ[label] + F₂ sin φ[label])`. Each sample
    draws one deviation and one angle `φ` per label and channel, so that the texture of two
    labels is correlated by the cosine of the difference of their angles, and breaks off at
    their border.

    Args:
        labels: label values that get texture, distinct and non-negative; others are left
            as they are, and so is the background, label 0. None: in a recipe, all of the label
            table.
        std: `(low, high)`, standard deviation, in units of intensity.
        size: `(low, high)`, positive: full width at half maximum of the Gaussian that
            smooths the noise, in mm; drawn per sample. The lowest sets the cost.
        groups: one number per label; labels of one group share deviation and angle.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `[image, labels]`: float `(batch, *spatial, channels)` and integer
        `(batch, *spatial, 1)`.
    Output shape: that of the image, float32.

    Raises:
        ValueError: if labels repeat or are negative, `groups` has the wrong length, or a
            range is reversed or out of bounds.

    Example:
    >>> import numpy as np
    >>> labels = np.array([0, 0, 2, 2], "int32").reshape(1, 4, 1, 1)
    >>> image = np.ones((1, 4, 1, 1), "float32")
    >>> changed = RandomTexture(labels=[2], std=0.1)([image, labels]) != 1
    >>> np.asarray(changed).ravel().tolist()
    [False, False, True, True]

    Reference: Billot et al., SynthSeg, Medical Image Analysis 2023, for the model whose white
        noise this adds to; the two fields are this package's.
    """

    takes, from_table = ("image", "parts"), ("labels",)

    def __init__(
        self,
        labels: DistinctLabels | None = None,
        std: Annotated[Range, Limits(0)] = (0, 0.05),
        size: PositiveMillimetres = (6, 30),
        groups: Groups | None = None,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            labels=labels, std=std, size=size, groups=groups, spacing=spacing, **kwargs
        )
        check_one_per_label(self, "groups")

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the labels."""
        labels = scene.contrast_labels if self.labels is None else self.labels
        return {**super().bind(scene), "labels": labels}

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "std" and "angle" `(batch, labels, channels)`, "size" and the lattice "noise"."""
        groups = self.groups or range(len(self.labels))
        index = np.unique(groups, return_inverse=True)[1]
        table = (int(index.max()) + 1, shape[-1])
        std = self.uniform(key, "std", self.std, table)
        angle = self.uniform(key, "angle", (0.0, 2 * math.pi), table)
        foreground = (np.array(self.labels) > 0).astype("float32")[:, None]
        foreground = ops.convert_to_tensor(foreground)
        lattice = tuple(self._capacity(n, mm) for n, mm in self._axes(shape))
        return {
            "std": ops.take(std, index, axis=1) * foreground,
            "angle": ops.take(angle, index, axis=1),
            "size": self.uniform(key, "size", self.size),
            "noise": random.normal(random.fold_in(key, "noise"), (*lattice, 2)),
        }

    def transform(self, inputs: list[Tensor], draws: dict[str, Tensor]) -> Tensor:
        """Add the texture of each label."""
        image, labels = as_image(inputs[0]), as_labels(inputs[1])
        fields = self._fields(draws, tuple(image.shape))
        cosine, sine = (in_whole_vectors(f, draws["angle"]) for f in (ops.cos, ops.sin))
        # Added to one: row 0 is for labels without texture.
        values = [0, *(v + 1 for v in sorted(self.labels))]
        order = np.argsort(self.labels)
        for k, share in enumerate((cosine, sine)):
            table = ops.take(draws["std"] * share, order, axis=1)
            table = ops.pad(table, ((0, 0), (1, 0), (0, 0)))
            table = table[..., 0] if image.shape[-1] == 1 else table
            image = image + look_up(table, labels + 1, values) * fields[k]
        return image

    def _fields(self, draws: dict[str, Tensor], shape: tuple[int | None, ...]) -> list[Tensor]:
        """Two fields of variance one, `(batch, *spatial, 1)` each."""
        size = ops.clip(draws["size"], *self.size)
        matrices = []
        for (n, mm), points in zip(self._axes(shape), draws["noise"].shape[1:-1], strict=True):
            voxel = ops.arange(n, dtype="float32")[None, :, None]
            point = ops.arange(points, dtype="float32")[None, None, :]
            # In cells of the lattice; of a Gaussian, half the exponent is that of its square.
            position = voxel * (mm * _POINTS_PER_SIZE / size[:, None, None]) + _MARGIN
            distance = (position - point) / (_POINTS_PER_SIZE * _FWHM_TO_STD)
            weight = in_whole_vectors(ops.exp, -0.5 * ops.square(distance))
            length = ops.sqrt(ops.sum(ops.square(weight), axis=-1, keepdims=True))
            matrices.append(weight / length)
        # One by one: products with two columns are slow.
        return [apply_along_axes(draws["noise"][..., k : k + 1], matrices) for k in (0, 1)]

    def _axes(self, shape: tuple[int | None, ...]) -> list[tuple[int, float]]:
        """Number of voxels and mm per voxel of each axis."""
        spatial = shape[1:-1]
        return list(zip(spatial, per_axis(self.spacing, len(spatial)), strict=True))

    def _capacity(self, size: int, mm: float) -> int:
        """Control points along an axis, at the finest."""
        cells = math.ceil((size - 1) * mm * _POINTS_PER_SIZE / self.size[0])
        return cells + 1 + 2 * _MARGIN

    def identity(self, inputs: list[Tensor]) -> Tensor:
        """Keep the image."""
        return as_image(inputs[0])

    def output_spec(self, inputs: list[Any]) -> Any:
        """The image."""
        return keras.KerasTensor(inputs[0].shape, "float32")
