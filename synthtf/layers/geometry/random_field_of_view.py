"""Partial fields of view."""

import math
from typing import Annotated, Any

import keras
from keras import ops, tree

from synthtf import random
from synthtf.arguments import Axes, Limits
from synthtf.layers.base import RandomLayer, Tensor, as_image_or_labels
from synthtf.ranges import Range, WholeRange
from synthtf.xla import fused


@keras.saving.register_keras_serializable(package="synthtf")
class RandomFieldOfView(RandomLayer):
    """Set everything outside of a random slab or box to zero.

    A sample is cropped along one random axis, or several: along each of them a proportion of
    the volume is lost, split at random between its two ends. The mask is a product of 1D masks.

    Args:
        proportion: `(low, high)`, share of a cropped axis that is lost, in [0, 1); drawn per
            sample and axis.
        axes: spatial axes that may be cropped. None: all.
        num_axes: `(low, high)`, number of axes to crop, chosen at random; drawn per sample.
            A larger number than there are axes means all of them.
        labels: whether, in a recipe, the target is cropped along with what the scanner sees.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: a tensor or a structure of tensors `(batch, *spatial, channels)`, all
        masked alike: an image, or an image and its label map.
    Output shape: the same, float32 or int32.

    Raises:
        ValueError: if the range is reversed or leaves [0, 1), or an axis does not exist.

    Example:
    >>> import numpy as np
    >>> x = np.ones((1, 10, 10, 1), "float32")
    >>> round(float(np.sum(RandomFieldOfView(proportion=0.5)(x))))
    50

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025.
    """

    def __init__(
        self,
        proportion: Annotated[Range, Limits(0, 0.99)] = (0, 0.2),
        axes: Axes | None = None,
        num_axes: Annotated[WholeRange, Limits(1, 3)] = 1,
        labels: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            proportion=proportion, axes=axes, num_axes=num_axes, labels=labels, **kwargs
        )

    @property
    def takes(self) -> tuple[str, ...]:
        """What the scanner sees, or the target as well."""
        return ("labels",) if self.labels else ("view",)

    @property
    def also(self) -> tuple[str, ...]:
        """What has been made of it."""
        return ("view", "parts", "image") if self.labels else ("parts", "image")

    @property
    def gives(self) -> tuple[str, ...]:
        """The same."""
        return self.takes

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the lost proportion, zero for an axis that is not cropped, and its start."""
        ndim = len(shape) - 2
        if self.axes is not None and max(self.axes, default=0) >= ndim:
            raise ValueError(f"{self.name}: axes {self.axes} are not all spatial in shape {shape}")
        proportion = self.uniform(key, "proportion", self.proportion, (ndim,))
        return {
            "proportion": proportion * self._cropped(key, ndim),
            "start": random.uniform(random.fold_in(key, "start"), (ndim,)),
        }

    def _cropped(self, key: Tensor, ndim: int) -> Tensor:
        """Draw which axes are cropped: `(batch, ndim)`, one or zero."""
        eligible = range(ndim) if self.axes is None else self.axes
        num = random.integers(random.fold_in(key, "num_axes"), (1,), *self.num_axes)
        order = random.uniform(random.fold_in(key, "axes"), (ndim,))
        order = order + ops.convert_to_tensor(
            [[0.0 if d in eligible else 2.0 for d in range(ndim)]], "float32"
        )
        rank = ops.argsort(ops.argsort(order, axis=-1), axis=-1)
        return ops.cast(ops.cast(rank, "int32") < ops.minimum(num, len(eligible)), "float32")

    def transform(self, inputs: Any, draws: dict[str, Tensor]) -> Any:
        """Multiply by the masks."""
        return tree.map_structure(lambda x: self._mask(as_image_or_labels(x), draws), inputs)

    def _mask(self, x: Tensor, draws: dict[str, Tensor]) -> Tensor:
        ndim = len(x.shape) - 2
        masks = []
        for axis in range(ndim):
            size = x.shape[axis + 1]
            lost = ops.round(draws["proportion"][:, axis] * size)[:, None]
            first = ops.floor(draws["start"][:, axis][:, None] * (lost + 1.0))
            voxel = ops.arange(size, dtype="float32")[None]
            seen = ops.logical_and(voxel >= first, voxel < first + size - lost)
            line = (-1, *(size if d == axis else 1 for d in range(ndim)), 1)
            masks.append(ops.cast(ops.reshape(seen, line), x.dtype))
        return fused(lambda x, masks: math.prod(masks, start=x), x, masks)
