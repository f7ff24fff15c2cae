"""VoxelMorph's layers for transforms, by the names and arguments of its TensorFlow code."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf.layers import ComposeTransforms, IntegrateVelocity, UpsampleField
from synthtf.ops.affine import affine_matrix, homogeneous
from synthtf.ops.fields import dense_displacement
from synthtf.ops.resampling import resample

Tensor = Any


class _Layer(keras.layers.Layer):
    """A layer whose arguments are its attributes and its config."""

    def __init__(self, arguments: dict[str, Any], **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(autocast=False, **kwargs)
        self._arguments = arguments

    def build(self, input_shape: Any) -> None:
        """There are no weights to make."""

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), **self._arguments}


@keras.saving.register_keras_serializable(package="synthtf.compat")
class SpatialTransformer(_Layer):
    """Move a volume by an affine matrix or a displacement field, as `vxm.layers` does.

    `out(x) = volume(x + displacement(x))`, by `synthtf.ops.resample`.

    Args:
        interp_method: "linear" or "nearest".
        indexing: "ij", or "xy" if the first two components of a field are swapped.
        single_transform: take the first transform of the batch for all samples.
        fill_value: value outside of the volume. None: that of the border.
        shift_center: whether matrices act about the centre of the output, or about its first voxel.
        shape: spatial shape of the output of a matrix. None: that of the volume. First voxels of
            both grids coincide.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: a list of a volume `(batch, *spatial, channels)`, and a transform:
        `(batch, ndim, ndim + 1)` or `(batch, ndim + 1, ndim + 1)`, or `(batch, *shape, ndim)`, in
        voxels.
    Output shape: `(batch, *shape, channels)`, float32.

    Raises:
        ValueError: if an argument is unknown, or the transform does not fit the volume.

    Example:
    >>> import numpy as np
    >>> volume = np.arange(3, dtype="float32").reshape(1, 3, 1, 1)
    >>> shift = np.array([[[1, 0, 1], [0, 1, 0]]], "float32")
    >>> np.asarray(SpatialTransformer(fill_value=0)([volume, shift])).ravel().tolist()
    [1.0, 2.0, 0.0]

    Reference: `voxelmorph.tf.layers.SpatialTransformer`.
    """

    def __init__(
        self,
        interp_method: str = "linear",
        indexing: str = "ij",
        single_transform: bool = False,
        fill_value: float | None = None,
        shift_center: bool = True,
        shape: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        check_one_of("indexing", indexing, "ij", "xy")
        check_one_of("interp_method", interp_method, "linear", "nearest")
        shape = None if shape is None else tuple(int(n) for n in shape)
        super().__init__(
            {
                "interp_method": interp_method,
                "indexing": indexing,
                "single_transform": single_transform,
                "fill_value": fill_value,
                "shift_center": shift_center,
                "shape": shape,
            },
            **kwargs,
        )

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Resample the volume once."""
        given = self._arguments
        volume, transform = inputs
        volume, transform = ops.cast(volume, "float32"), ops.cast(transform, "float32")
        source = tuple(volume.shape[1:-1])
        if given["single_transform"]:
            rows = ops.shape(volume)[0]
            transform = ops.repeat(transform[:1], rows, axis=0)
        if _is_matrix(transform, len(source)):
            shape = given["shape"] or source
            transform = _field(transform, shape, given["shift_center"])
        elif given["indexing"] == "xy":
            transform = ops.stack(
                [transform[..., d] for d in (1, 0, *range(2, len(source)))], axis=-1
            )
        shape = tuple(transform.shape[1:-1])
        if source == shape or None in (*source, *shape):
            return resample(volume, transform, given["interp_method"], given["fill_value"])
        # Where sizes differ, synthtf aligns the centres of the grids, VoxelMorph the first voxels.
        offset = [(n - m) // 2 for n, m in zip(source, shape, strict=True)]
        transform = transform - ops.convert_to_tensor(offset, "float32")
        return resample(volume, transform, given["interp_method"], given["fill_value"], shape)

    def compute_output_spec(self, inputs: list[Any]) -> Any:
        """The volume's channels on the grid of the transform."""
        volume, transform = inputs
        ndim = len(volume.shape) - 2
        shape = transform.shape[1:-1]
        if _is_matrix(transform, ndim):
            shape = self._arguments["shape"] or volume.shape[1:-1]
        return keras.KerasTensor((volume.shape[0], *shape, volume.shape[-1]), "float32")


@keras.saving.register_keras_serializable(package="synthtf.compat")
class VecInt(_Layer):
    """Integrate a stationary velocity field by scaling and squaring, as `vxm.layers` does.

    Args:
        indexing: "ij".
        method: "ss"; solvers of differential equations are not there.
        int_steps: number of squarings.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, ndim)`, in voxels.
    Output shape: the same.

    Raises:
        ValueError: if there is no such method.

    Reference: `voxelmorph.tf.layers.VecInt`; here `synthtf.layers.IntegrateVelocity`.
    """

    def __init__(
        self, indexing: str = "ij", method: str = "ss", int_steps: int = 7, **kwargs: Any
    ) -> None:
        check_one_of("indexing", indexing, "ij")
        check_one_of("method", method, "ss", "scaling_and_squaring")
        super().__init__({"indexing": indexing, "method": method, "int_steps": int_steps}, **kwargs)
        self._integrate = IntegrateVelocity(int_steps)

    def call(self, inputs: Tensor | list[Tensor]) -> Tensor:
        """Integrate."""
        return self._integrate(inputs[0] if isinstance(inputs, list | tuple) else inputs)


@keras.saving.register_keras_serializable(package="synthtf.compat")
class ComposeTransform(_Layer):
    """Compose transforms into one, as `vxm.layers` does; the last acts first on the output.

    Args:
        interp_method: "linear".
        shift_center: True, matrices act about the centre of the volume.
        indexing: "ij".
        shape: spatial shape of the field that is made of matrices alone. None: give a matrix.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: a list of `(batch, ndim, ndim + 1)` and `(batch, *spatial, ndim)`.
    Output shape: `(batch, ndim, ndim + 1)` if all are matrices, else `(batch, *spatial, ndim)`.

    Raises:
        ValueError: if an argument has another value.

    Reference: `voxelmorph.tf.layers.ComposeTransform`; here `synthtf.layers.ComposeTransforms`.
    """

    def __init__(
        self,
        interp_method: str = "linear",
        shift_center: bool = True,
        indexing: str = "ij",
        shape: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        check_one_of("interp_method", interp_method, "linear")
        check_one_of("shift_center", shift_center, True)
        check_one_of("indexing", indexing, "ij")
        shape = None if shape is None else tuple(int(n) for n in shape)
        super().__init__(
            {
                "interp_method": interp_method,
                "shift_center": shift_center,
                "indexing": indexing,
                "shape": shape,
            },
            **kwargs,
        )
        self._compose = ComposeTransforms()

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Compose."""
        composed = self._compose([_square(transform) for transform in inputs])
        if len(composed.shape) > 3:
            return composed
        shape = self._arguments["shape"]
        matrix = composed[:, :-1]
        return matrix if shape is None else _field(matrix, shape, True)


@keras.saving.register_keras_serializable(package="synthtf.compat")
class ParamsToAffineMatrix(_Layer):
    """Make affine matrices of translation, rotation, scaling and shear, as `vxm.layers` does.

    Args:
        ndims: number of spatial axes, 2 or 3.
        deg: angles are in degrees, else in radians.
        shift_scale: add 1 to the scaling, so that zeros are the identity.
        last_row: append the row `(0, ..., 0, 1)`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, num)`, in this order; what is left out at the end is zero.
    Output shape: `(batch, ndims, ndims + 1)`, with `last_row` `(batch, ndims + 1, ndims + 1)`.

    Raises:
        ValueError: if there are more parameters than an affine transform has.

    Example:
    >>> import numpy as np
    >>> layer = ParamsToAffineMatrix(ndims=2, shift_scale=True)
    >>> np.asarray(layer(np.array([[4.0, 5.0]], "float32")))[0].tolist()
    [[1.0, 0.0, 4.0], [0.0, 1.0, 5.0]]

    Reference: `voxelmorph.tf.layers.ParamsToAffineMatrix`; here `synthtf.ops.affine_matrix`.
    """

    def __init__(
        self,
        ndims: int = 3,
        deg: bool = True,
        shift_scale: bool = False,
        last_row: bool = False,
        **kwargs: Any,
    ) -> None:
        check_one_of("ndims", ndims, 2, 3)
        super().__init__(
            {"ndims": ndims, "deg": deg, "shift_scale": shift_scale, "last_row": last_row}, **kwargs
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Split the parameters and build the matrices."""
        given = self._arguments
        ndim, turns = given["ndims"], 1 if given["ndims"] == 2 else 3
        missing = 2 * (ndim + turns) - inputs.shape[-1]
        if missing < 0:
            raise ValueError(
                f"ParamsToAffineMatrix takes at most {2 * (ndim + turns)} parameters in {ndim}D. "
                f"Received: shape {tuple(inputs.shape)}"
            )
        params = ops.pad(ops.cast(inputs, "float32"), ((0, 0), (0, missing)))
        shift, angle, scale, shear = ops.split(
            params, (ndim, ndim + turns, 2 * ndim + turns), axis=-1
        )
        if not given["deg"]:
            angle = angle * 57.29577951308232
        matrix = affine_matrix(shift, angle, scale + 1 if given["shift_scale"] else scale, shear)
        return matrix if given["last_row"] else matrix[:, :-1]


@keras.saving.register_keras_serializable(package="synthtf.compat")
class AffineToDenseShift(_Layer):
    """Turn affine matrices into displacement fields, as `vxm.layers` does.

    Args:
        shape: spatial shape of the fields.
        shift_center: whether the matrices act about the centre, or about the first voxel.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, ndim, ndim + 1)` or `(batch, ndim + 1, ndim + 1)`.
    Output shape: `(batch, *shape, ndim)`, in voxels.

    Reference: `voxelmorph.tf.layers.AffineToDenseShift`; here `synthtf.ops.dense_displacement`.
    """

    def __init__(self, shape: Sequence[int], shift_center: bool = True, **kwargs: Any) -> None:
        shape = tuple(int(n) for n in shape)
        super().__init__({"shape": shape, "shift_center": shift_center}, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Evaluate the matrices on the grid."""
        return _field(inputs, self._arguments["shape"], self._arguments["shift_center"])


@keras.saving.register_keras_serializable(package="synthtf.compat")
class RescaleTransform(_Layer):
    """Bring a transform to another resolution, as `vxm.layers` does.

    Args:
        zoom_factor: new over old number of voxels.
        interp_method: "linear".
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, ndim)` or `(batch, ndim, ndim + 1)`, in voxels.
    Output shape: `(batch, *zoomed, ndim)`, in voxels of the new grid; of a matrix the same.

    Reference: `voxelmorph.tf.layers.RescaleTransform`; here `synthtf.layers.UpsampleField`.
    """

    def __init__(self, zoom_factor: float, interp_method: str = "linear", **kwargs: Any) -> None:
        check_one_of("interp_method", interp_method, "linear")
        super().__init__({"zoom_factor": zoom_factor, "interp_method": interp_method}, **kwargs)
        self._upsample = UpsampleField(zoom_factor)

    def call(self, inputs: Tensor) -> Tensor:
        """Scale translations, and resample fields."""
        if len(inputs.shape) > 3:
            return self._upsample(inputs)
        last = ops.convert_to_tensor(
            [1.0] * (inputs.shape[-1] - 1) + [self._arguments["zoom_factor"]], "float32"
        )
        return ops.cast(inputs, "float32") * last


def check_one_of(name: str, value: Any, *allowed: Any) -> None:
    """Refuse a value of an argument that synthtf has no counterpart for.

    Raises:
        ValueError: if the value is not one of those that are allowed.
    """
    if value not in allowed:
        raise ValueError(
            f"`{name}` must be {' or '.join(map(repr, allowed))}. Received: {name}={value!r}"
        )


def _is_matrix(transform: Tensor, ndim: int) -> bool:
    return len(transform.shape) == 3 and tuple(transform.shape[1:]) in (
        (ndim, ndim + 1),
        (ndim + 1, ndim + 1),
    )


def _square(transform: Tensor) -> Tensor:
    """Append the last row of a matrix that lacks it."""
    transform = ops.cast(transform, "float32")
    if len(transform.shape) == 3 and transform.shape[1] == transform.shape[2] - 1:
        return homogeneous(transform)
    return transform


def _field(matrix: Tensor, shape: Sequence[int], centred: bool) -> Tensor:
    """Turn matrices about the centre, or the first voxel, into displacements."""
    matrix = _square(matrix)
    if not centred:
        # A x = c + L (x - c) + t' with t' = t + (L - I) c.
        centre = ops.convert_to_tensor([[(n - 1) / 2] for n in shape], "float32")
        linear, shift = matrix[:, :-1, :-1], matrix[:, :-1, -1:]
        shift = shift + ops.matmul(linear, centre) - centre
        matrix = homogeneous(ops.concatenate([linear, shift], axis=-1))
    return dense_displacement(matrix, tuple(shape))
