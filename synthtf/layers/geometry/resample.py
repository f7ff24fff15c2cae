"""Resampling as a layer."""

from typing import Annotated, Any, Literal

import keras
from keras import tree

from synthtf.arguments import Limits, Shape
from synthtf.layers.base import SynthesisLayer, Tensor, as_image_or_labels
from synthtf.ops.resampling import resample


@keras.saving.register_keras_serializable(package="synthtf")
class Resample(SynthesisLayer):
    """Move one or several volumes by a transform, with one interpolation.

    `out(x) = volume(transform(x))`. Label maps (integer tensors) are always
    taken from the nearest voxel.

    Args:
        interpolation: interpolation of images, "linear" or "nearest".
        fill: value outside the input. None: the border value.
        shape: spatial shape of the output, default that of the input. The centres
            of the two grids coincide (to whole voxels), so that an input of any
            size may be given.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: a tensor or a structure of tensors `(batch, *spatial, channels)`; and
        `transform`, `(batch, ndim + 1, ndim + 1)` or `(batch, *grid, ndim)`, in voxels.
    Output shape: the same structure, `(batch, *shape, channels)`, float32 or int32.

    Raises:
        ValueError: if the interpolation is unknown or the ranks do not fit.

    Example:
    >>> import numpy as np
    >>> shift = np.eye(3, dtype="float32")[None]
    >>> shift[0, 0, 2] = 1
    >>> x = np.arange(4, dtype="int32").reshape(1, 4, 1, 1)
    >>> np.asarray(Resample()(x, shift)).ravel().tolist()
    [1, 2, 3, 0]
    """

    takes, gives = ("transform",), ()

    def __init__(
        self,
        interpolation: Literal["linear", "nearest"] = "linear",
        fill: Annotated[float, Limits()] | None = 0.0,
        shape: Shape | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(interpolation=interpolation, fill=fill, shape=shape, **kwargs)

    def call(self, inputs: Any, transform: Tensor) -> Any:
        """Resample every input."""

        def move(x: Tensor) -> Tensor:
            x = as_image_or_labels(x)
            integer = keras.backend.standardize_dtype(x.dtype) == "int32"
            how = "nearest" if integer else self.interpolation
            return resample(x, transform, how, self.fill, self.shape)

        return tree.map_structure(move, inputs)

    def output_spec(self, inputs: Any) -> Any:
        """The inputs' dtypes on the output's grid."""
        specs = super().output_spec(inputs)
        if self.shape is None:
            return specs
        return tree.map_structure(
            lambda x: keras.KerasTensor((x.shape[0], *self.shape, x.shape[-1]), x.dtype), specs
        )
