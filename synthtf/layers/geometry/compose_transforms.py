"""Composition of transforms."""

from typing import Any

import keras

from synthtf.arguments import Shape
from synthtf.layers.base import SynthesisLayer, Tensor
from synthtf.ops.fields import compose


@keras.saving.register_keras_serializable(package="synthtf")
class ComposeTransforms(SynthesisLayer):
    """Compose affine matrices and displacement fields into one transform.

    For inputs `[a, b, c]` the result is `x ↦ a(b(c(x)))`: the last is applied
    first to output positions, so that the volume that is resampled once with the
    result looks as if it had been moved by `a`, then `b`, then `c`.

    Args:
        shape: spatial shape of the volume, needed only if the grid of a field is coarser.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: list of `(batch, ndim + 1, ndim + 1)` and `(batch, *grid, ndim)`.
    Output shape: `(batch, ndim + 1, ndim + 1)` if all are matrices, else
        `(batch, *grid, ndim)` on the grid of the field that is applied first, in voxels.

    Raises:
        ValueError: if the inputs are not a list of transforms of one dimension.

    Example:
    >>> import numpy as np
    >>> a, b = np.eye(3, dtype="float32")[None], np.ones((1, 8, 8, 2), "float32")
    >>> float(ComposeTransforms()([a, b])[0, 4, 4, 0])
    1.0
    """

    takes, gives = ("transform",), ()

    def __init__(self, shape: Shape | None = None, **kwargs: Any) -> None:
        super().__init__(shape=shape, **kwargs)

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Compose from right to left."""
        _check(inputs)
        out = inputs[-1]
        for outer in reversed(inputs[:-1]):
            out = compose(outer, out, self.shape)
        return out

    def output_spec(self, inputs: list[Any]) -> Any:
        """Give the shape of the composite."""
        _check(inputs)
        fields = [x for x in inputs if len(x.shape) > 3]
        return keras.KerasTensor((fields or inputs)[-1].shape, "float32")


def _check(inputs: Any) -> None:
    if not isinstance(inputs, list | tuple) or not inputs:
        raise ValueError(f"ComposeTransforms takes a list of transforms. Received: {inputs!r}")
