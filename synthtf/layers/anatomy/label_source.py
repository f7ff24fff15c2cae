"""The abstract base of layers that make label maps from nothing."""

from typing import Any

import keras

from synthtf.layers.base import RandomLayer, Tensor, as_labels, known_grid


class LabelSource(RandomLayer):
    """A random layer with a `spacing` that replaces label maps and uses only their shape.

    A sample that the layer leaves alone keeps its label map. A subclass implements
    `largest_label`, next to `draw` and `transform`.
    """

    takes, gives = (), ("labels",)

    def largest_label(self, shape: tuple[int | None, ...]) -> int:
        """Give the largest label that can occur for an input `(batch, *spatial, channels)`."""
        raise NotImplementedError(f"{type(self).__name__} must implement `largest_label`")

    def identity(self, inputs: Tensor) -> Tensor:
        """Give the label map."""
        return as_labels(inputs)

    def output_spec(self, inputs: Any) -> Any:
        """One label map per sample."""
        self.extent(tuple(inputs.shape))  # refuses a shape that is not known
        return keras.KerasTensor((*inputs.shape[:-1], 1), "int32")

    def extent(self, shape: tuple[int | None, ...]) -> tuple[float, ...]:
        """Give the distance in mm between the first and the last voxel, per axis."""
        spatial, spacing = known_grid(self, shape)
        return tuple((n - 1) * mm for n, mm in zip(spatial, spacing, strict=True))
