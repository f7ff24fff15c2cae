"""A field on a finer grid, as a layer."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf.arguments import Limits
from synthtf.layers.base import SynthesisLayer, Tensor, as_image
from synthtf.layers.geometry.integrate_velocity import check_field
from synthtf.ops.linear import apply_along_axes


@keras.saving.register_keras_serializable(package="synthtf")
class UpsampleField(SynthesisLayer):
    """Bring a displacement or velocity field onto a finer grid, linearly.

    The components are multiplied by the factor, since they count voxels, and the corner voxels
    of the two grids coincide. This is VoxelMorph's `RescaleTransform`; strictly, the sizes of
    voxels on grids of `n` and `m` voxels with the same corners relate as `(m - 1) / (n - 1)`.

    Args:
        factor: ratio of the numbers of voxels, positive; below one, the grid gets coarser.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, ndim)`, in voxels of its own grid.
    Output shape: `(batch, *shape, ndim)` with `shape = floor(factor * spatial)`, in voxels of
        that grid.

    Raises:
        ValueError: if the factor is not positive and finite, or if the last axis of the input
            does not have one component per spatial axis.

    Example:
    >>> import numpy as np
    >>> field = np.array([0, 4], "float32").reshape(1, 2, 1)
    >>> np.asarray(UpsampleField(2.5)(field)).ravel().tolist()
    [0.0, 2.5, 5.0, 7.5, 10.0]

    Reference:
        Balakrishnan et al., VoxelMorph: a learning framework for deformable medical image
        registration, IEEE TMI 2019.
    """

    takes, gives = ("transform",), ()

    def __init__(self, factor: Annotated[float, Limits(1e-3, 64)] = 2, **kwargs: Any) -> None:
        super().__init__(factor=factor, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Scale the components and interpolate along each axis."""
        check_field(inputs, self.__class__.__name__)
        field = as_image(inputs) * self.factor
        sizes = ops.shape(field)[1:-1]
        matrices = [upsampling_matrix(n, self._target(n)) for n in sizes]
        return apply_along_axes(field, matrices)

    def output_spec(self, inputs: Any) -> Any:
        """A field on the finer grid; axes of unknown size stay unknown."""
        check_field(inputs, self.__class__.__name__)
        batch, *sizes, ndim = inputs.shape
        sizes = [None if n is None else self._target(n) for n in sizes]
        return keras.KerasTensor((batch, *sizes, ndim), "float32")

    def _target(self, size: Any) -> Any:
        """Number of voxels along an axis of the finer grid."""
        if self.factor.is_integer():
            return size * int(self.factor)
        # Room for the rounding of a factor such as 5 / 3.
        if isinstance(size, int):
            return int(size * self.factor + 1e-4)
        return ops.cast(ops.floor(ops.cast(size, "float32") * self.factor + 1e-4), "int32")


def upsampling_matrix(size: Any, target: Any) -> Tensor:
    """Linear interpolation from one grid to another along an axis, corners on corners.

    Args:
        size: number of voxels, an int or a scalar tensor.
        target: number of voxels of the result, likewise.

    Returns:
        float32 tensor of shape `(1, target, size)`.
    """
    cells, intervals = (ops.cast(n, "float32") - 1.0 for n in (size, target))
    position = ops.arange(target, dtype="float32") * (cells / ops.maximum(intervals, 1.0))
    voxel = ops.arange(size, dtype="float32")
    return ops.relu(1.0 - ops.abs(position[None, :, None] - voxel))
