"""A convolution whose kernel depends on each sample."""

import math
from typing import Any

import keras
from keras import ops

Tensor = Any

# Ratio of the part of the initial kernels that varies to the part that does not.
_VARIATION = 0.5


@keras.saving.register_keras_serializable(package="synthtf")
class HyperConv(keras.layers.Layer):
    """Convolve each sample with a kernel and a bias that are linear in its own hypervector.

    `kernel = K + h · W` and `bias = b + h · B`, one kernel per sample of the batch; stride one,
    zero padding to the size of the input. At first K is drawn as He et al. have it, `h · W` has
    half that standard deviation for `h` of mean square one, and b and B are zero, so that
    features keep their scale for every `h` that comes out of a few He-initialised layers with a
    number in [0, 1] as their input.

    Args:
        filters: output channels.
        kernel_size: voxels per axis of the kernel.
        kernel_std: initial standard deviation of the kernels. None: He's, `sqrt(2 / inputs)`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: list of features `(batch, *spatial, channels)` of one to three spatial axes and
        the hypervector `(batch, units)`.
    Output shape: `(batch, *spatial, filters)`.

    Raises:
        ValueError: if a number is not positive, or if the inputs are not such a list.

    Example:
    >>> import numpy as np
    >>> features, h = np.ones((2, 8, 8, 3), "float32"), np.ones((2, 5), "float32")
    >>> tuple(HyperConv(4)([features, h]).shape)
    (2, 8, 8, 4)

    Reference:
        Hoopes et al., Learning the effect of registration hyperparameters with HyperMorph, MELBA
        2022. He et al., Delving deep into rectifiers, ICCV 2015, for the scale. There K and b are
        the bias of a dense layer; here too, but its initial values differ from zero.
    """

    def __init__(
        self, filters: int, kernel_size: int = 3, kernel_std: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("filters", filters), ("kernel_size", kernel_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{name}` must be an integer of at least 1. Received: {name}={value!r}"
                )
        if kernel_std is not None and not 0 < kernel_std < math.inf:
            raise ValueError(
                f"`kernel_std` must be positive or None. Received: kernel_std={kernel_std!r}"
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.kernel_std = kernel_std

    def build(self, input_shape: Any) -> None:
        """Create the weights."""
        _check(input_shape)
        features, hyper = input_shape
        size = (self.kernel_size,) * (len(features) - 2)
        inputs = math.prod(size) * features[-1]
        std = math.sqrt(2 / inputs) if self.kernel_std is None else self.kernel_std
        normal = keras.initializers.RandomNormal
        self.kernel = self.add_weight(
            shape=(*size, features[-1], self.filters), initializer=normal(0.0, std), name="kernel"
        )
        self.kernel_slope = self.add_weight(
            shape=(hyper[-1], inputs * self.filters),
            initializer=normal(0.0, _VARIATION * std / math.sqrt(hyper[-1])),
            name="kernel_slope",
        )
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.bias_slope = self.add_weight(
            shape=(hyper[-1], self.filters), initializer="zeros", name="bias_slope"
        )

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Convolve every sample."""
        features, hyper = inputs
        change = ops.reshape(ops.matmul(hyper, self.kernel_slope), (-1, *self.kernel.shape))
        bias = self.bias + ops.matmul(hyper, self.bias_slope)
        ndim = len(features.shape) - 2
        out = _convolve_each(features, self.kernel + change)
        return out + ops.reshape(bias, (-1, *[1] * ndim, self.filters))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """The shape of the features with other channels."""
        _check(input_shape)
        return (*input_shape[0][:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "kernel_std": self.kernel_std,
        }


def _convolve_each(features: Tensor, kernels: Tensor) -> Tensor:
    """Convolve sample by sample: grouped convolutions have no gradient on some processors."""

    def convolve(pair: tuple[Tensor, Tensor]) -> Tensor:
        one, kernel = pair
        return ops.conv(one[None], kernel, padding="same", data_format="channels_last")[0]

    if features.shape[0] is not None and features.shape[0] <= 2:
        samples = range(features.shape[0])
        return ops.stack([convolve((features[row], kernels[row])) for row in samples])
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # As `keras.ops.map`, which convolves the first sample twice to learn the shape.
        shape = (*features.shape[1:-1], kernels.shape[-1])
        spec = tf.TensorSpec(shape, features.dtype)
        return tf.map_fn(convolve, (features, kernels), fn_output_signature=spec)
    return ops.map(convolve, (features, kernels))


def _check(shapes: Any) -> None:
    valid = isinstance(shapes, list | tuple) and len(shapes) == 2
    valid = valid and all(isinstance(shape, list | tuple) for shape in shapes)
    if not valid or not 3 <= len(shapes[0]) <= 5 or len(shapes[1]) != 2:
        raise ValueError(
            "HyperConv takes a list of features (batch, *spatial, channels) and a hypervector "
            f"(batch, units). Received: shapes {shapes}"
        )
