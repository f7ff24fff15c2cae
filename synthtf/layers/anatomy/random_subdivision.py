"""Structures randomly split into parts."""

import dataclasses
from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, PositiveMillimetres, Spacing
from synthtf.label_arguments import Regions
from synthtf.layers.base import RandomLayer, Tensor, as_labels, known_grid
from synthtf.layers.scene import Scene
from synthtf.ops.labels import map_labels
from synthtf.ops.lattice import lattice_field, lattice_shape


@keras.saving.register_keras_serializable(package="synthtf")
class RandomSubdivision(RandomLayer):
    """Split labels into parts of random shape, so that contrast varies within a structure.

    Smooth Gaussian fields `F_k`, k = 0 ... `num_parts`, cover the volume, and a voxel of a listed
    label belongs to the part whose field is largest there. In part 0 it keeps its label. In part
    k > 0, the label that is number j in the list, counted from 0, becomes

        offset + j num_parts + k - 1.

    The property `new_labels` gives all these values, for `RandomIntensity` to list, and `mapping`
    leads back, for `MapLabels`. All labels share the fields: parts of neighbours touch.

    Args:
        labels: label values that are split, distinct, or, in a recipe, names of regions of the
            label table. None: in a recipe, all but the background.
        num_parts: number of new labels of each, at least 1. In a sample some may not occur.
        offset: first of the new labels, above all that occur. None: the first above `labels`, or,
            in a recipe, above all of the label table.
        size: `(low, high)`, mm between the lattice points of the fields; drawn per sample. Parts
            are about twice as wide.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: the same, int32.

    Raises:
        ValueError: if no label is given, one is negative or listed twice, the offset is not
            above them, `num_parts` is no positive number, a range is out of bounds, or the
            spatial shape is not known.

    Example:
    >>> import numpy as np
    >>> layer = RandomSubdivision([2, 41], num_parts=2, offset=1000)
    >>> layer.new_labels
    (1000, 1001, 1002, 1003)
    >>> layer.mapping
    {2: 2, 1000: 2, 1001: 2, 41: 41, 1002: 41, 1003: 41}

    Reference: Puonti et al., Fast and sequence-adaptive whole-brain segmentation, NeuroImage
        2016, model a label by several intensity classes; here, its parts are random regions.
    """

    takes, gives, from_table = ("parts",), ("parts",), ("labels",)

    def __init__(
        self,
        labels: Regions | None = None,
        num_parts: Annotated[int, Limits(1, 64)] = 2,
        offset: Annotated[int, Limits(1, 10**7)] | None = None,
        size: PositiveMillimetres = (5, 30),
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            labels=labels, num_parts=num_parts, offset=offset, size=size, spacing=spacing, **kwargs
        )
        numbers = [v for v in self.labels or () if not isinstance(v, str)]
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"`labels` must be distinct. Received: labels={labels!r}")
        if self.offset is not None and self.offset <= max(numbers, default=0):
            raise ValueError(
                f"`offset` must be above all `labels` ({max(numbers)}). Received: offset={offset!r}"
            )

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the labels, and room for the new ones."""
        named = [label for label in scene.table.ids if label]
        return {
            **super().bind(scene),
            "labels": named if self.labels is None else scene.labels(self.labels),
            "offset": self.offset or max(scene.contrast_labels) + 1,
        }

    def after(self, scene: Scene) -> Scene:
        """Remember what each new label is a part of."""
        new = {part: old for part, old in self.mapping.items() if part != old}
        parts = {part: scene.parts.get(old, old) for part, old in new.items()}
        return dataclasses.replace(scene, parts={**scene.parts, **parts})

    @property
    def first(self) -> int:
        """First of the new labels."""
        return self.offset or max(self.labels) + 1

    @property
    def new_labels(self) -> tuple[int, ...]:
        """All label values that may occur in addition, sorted."""
        return tuple(range(self.first, self.first + len(self.labels) * self.num_parts))

    @property
    def mapping(self) -> dict[int, int]:
        """From each listed label and each of its new ones to the listed one."""
        parts = [iter(self.new_labels)] * self.num_parts
        new = zip(*parts, strict=True)
        return {v: old for old, own in zip(self.labels, new, strict=True) for v in (old, *own)}

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the "size" (mm), and the "shift" and "noise" of each part's lattice."""
        spatial, spacing = known_grid(self, shape)
        lattice = lattice_shape(spatial, spacing, self.size[0])
        noise = random.fold_in(key, "noise")
        return {
            "size": self.uniform(key, "size", self.size),
            "shift": self.uniform(key, "shift", (0.0, 1.0), (self.num_parts + 1, len(spatial))),
            "noise": random.normal(noise, (self.num_parts + 1, *lattice)),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Find the largest field, one after the other."""
        labels = as_labels(inputs)
        spatial, spacing = known_grid(self, labels.shape)

        def field(part: int) -> Tensor:
            values = draws["noise"][:, part, ..., None]
            return lattice_field(values, draws["size"], draws["shift"][:, part], spatial, spacing)

        largest = field(0)
        winner = ops.zeros_like(largest, "int32")
        for part in range(1, self.num_parts + 1):
            here = field(part)
            winner = ops.where(here > largest, part, winner)
            largest = ops.maximum(here, largest)
        # The label before the first new one of each listed label; 0 for labels that are not listed.
        first = map_labels(
            labels, {v: self.first + j * self.num_parts - 1 for j, v in enumerate(self.labels)}
        )
        split = ops.logical_and(first > 0, winner > 0)
        return ops.where(split, first + winner, labels)

    def output_spec(self, inputs: Any) -> Any:
        """A label map."""
        known_grid(self, tuple(inputs.shape))  # refuses a shape that is not known
        return keras.KerasTensor(inputs.shape, "int32")
