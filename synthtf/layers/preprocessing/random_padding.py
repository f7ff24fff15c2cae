"""Random padding."""

import math
from typing import Annotated, Any, Literal

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.ops.indexing import batch_offset, gather
from synthtf.ranges import Range


@keras.saving.register_keras_serializable(package="synthtf")
class RandomPadding(RandomLayer):
    """Replace everything outside of a random box by padding that is not zero.

    Images are cropped and padded, by a scanner or a tool that brings them to a standard grid,
    with a constant or with copies of the outermost voxels. Along each axis a proportion of the
    volume is padding, split at random between its two ends. `RandomFieldOfView` is for zeros.

    Args:
        proportion: `(low, high)`, share of each axis that is padding, in [0, 0.9]; drawn per
            sample and axis.
        value: `(low, high)`, the constant, as a share of the largest intensity of the sample;
            drawn per sample.
        mode: "constant", or "edge" for the value of the closest voxel of the box.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds, or the mode is unknown.

    Example:
    >>> import numpy as np
    >>> image = np.array([1, 1, 1, 2], "float32").reshape(1, 4, 1, 1)
    >>> padded = RandomPadding(proportion=0.5, value=0.25)(image)
    >>> int(np.sum(np.asarray(padded) == 0.5))
    2
    """

    def __init__(
        self,
        proportion: Annotated[Range, Limits(0, 0.9)] = (0, 0.2),
        value: Annotated[Range, Limits()] = (0, 1),
        mode: Literal["constant", "edge"] = "constant",
        **kwargs: Any,
    ) -> None:
        super().__init__(proportion=proportion, value=value, mode=mode, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the padding and the share of it at the start, per axis, and the value."""
        ndim = len(shape) - 2
        draws = {
            "proportion": self.uniform(key, "proportion", self.proportion, (ndim,)),
            "start": random.uniform(random.fold_in(key, "start"), (ndim,)),
        }
        if self.mode == "constant":
            draws["value"] = self.uniform(key, "value", self.value)
        return draws

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Pad."""
        image = as_image(inputs)
        sizes = image.shape[1:-1]
        boxes = [self._box(draws, axis, size) for axis, size in enumerate(sizes)]
        if self.mode == "edge":
            return _repeat_edges(image, boxes)
        inside = 1.0
        for axis, (first, last) in enumerate(boxes):
            voxel = ops.arange(sizes[axis], dtype="float32")[None]
            seen = ops.logical_and(voxel >= first, voxel <= last)
            line = (-1, *(n if d == axis else 1 for d, n in enumerate(sizes)), 1)
            inside = inside * ops.cast(ops.reshape(seen, line), "float32")
        largest = ops.max(image, axis=tuple(range(1, len(image.shape))))
        return ops.where(inside > 0, image, expand(draws["value"] * largest, image))

    def _box(self, draws: dict[str, Tensor], axis: int, size: int) -> tuple[Tensor, Tensor]:
        """First and last voxel of the box along an axis, `(batch, 1)`."""
        lost = ops.minimum(ops.round(draws["proportion"][:, axis] * size), size - 1.0)[:, None]
        first = ops.floor(draws["start"][:, axis][:, None] * (lost + 1.0))
        return first, first + (size - 1.0 - lost)


def _repeat_edges(image: Tensor, boxes: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Replace each voxel by the closest one in the box."""
    sizes, channels = image.shape[1:-1], image.shape[-1]
    index = batch_offset(ops.shape(image)[0], math.prod(sizes), len(sizes))
    for axis, (first, last) in enumerate(boxes):
        voxel = ops.arange(sizes[axis], dtype="float32")[None]
        closest = ops.cast(ops.minimum(ops.maximum(voxel, first), last), "int32")
        line = (-1, *(n if d == axis else 1 for d, n in enumerate(sizes)))
        index = index + math.prod(sizes[axis + 1 :]) * ops.reshape(closest, line)
    if channels == 1:
        return gather(ops.reshape(image, (-1,)), index)[..., None]
    return gather(ops.reshape(image, (-1, channels)), index)
