"""Optimisers."""

import math
from typing import Any

import keras
from keras import ops

Tensor = Any

# Quintic whose iteration drives all singular values towards one, from Jordan's Muon.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
# Root mean square of Adam's updates: with it, both use the same learning rate (Liu et al.).
_UPDATE_RMS = 0.2


@keras.saving.register_keras_serializable(package="synthtf")
class ConvMuon(keras.optimizers.Adam):
    """Muon for the kernels of convolutions, Adam for all other weights.

    The momentum of a kernel is taken as a matrix from the voxels and channels that the kernel sees
    to its output channels, and replaced by the nearest matrix whose singular values are equal.
    Every direction of the kernel therefore learns as fast as the strongest. Keras' own `Muon` does
    this for matrices, and leaves convolutions to Adam. Kernels that see a single voxel or channel,
    or have fewer than four output channels, and all biases and scales learn by Adam.

    Args:
        learning_rate: learning rate of both, a number or a Keras schedule; about as for Adam.
        momentum: momentum of Muon, in Nesterov's form.
        name: name of the optimiser.
        **kwargs: arguments of `keras.optimizers.Adam`.

    Raises:
        ValueError: if the momentum is not in [0, 1).

    Example:
        >>> optimizer = ConvMuon(learning_rate=5e-3)
        >>> optimizer.momentum
        0.95

    Reference: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; Liu
        et al., Muon is scalable for LLM training, arXiv:2502.16982, for the learning rate.
    """

    def __init__(
        self,
        learning_rate: Any = 5e-3,
        momentum: float = 0.95,
        name: str = "conv_muon",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name=name, **kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(f"`momentum` must lie in [0, 1). Received: momentum={momentum!r}")
        self.momentum = float(momentum)

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        """Change one variable."""
        shape = tuple(variable.shape)
        if not _is_kernel(shape):
            super().update_step(gradient, variable, learning_rate)
            return
        average = self._momentums[self._get_variable_index(variable)]
        self.assign(average, gradient + self.momentum * average)
        ahead = gradient + self.momentum * average
        matrix = ops.reshape(ahead, (-1, shape[-1]))
        scale = _UPDATE_RMS * max(matrix.shape) ** 0.5 * ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, ops.reshape(scale * orthogonalize(matrix), shape))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"momentum": self.momentum}


def orthogonalize(matrix: Tensor) -> Tensor:
    """Bring all singular values close to one, without changing the singular vectors.

    Args:
        matrix: `(m, n)`, floating-point.

    Returns:
        Tensor of the same shape. Singular values of at least 0.002 times the norm end between 0.68
        and 1.21; a matrix of zeros stays zero.

    Example:
        >>> from keras import ops
        >>> values = ops.diag(orthogonalize(ops.diag(ops.array([1.0, 0.1]))))
        >>> bool(ops.min(values) > 0.6 and ops.max(values) < 1.3)
        True

    Reference: Jordan et al., Muon, 2024: five steps of a Newton-Schulz iteration.
    """
    a, b, c = _QUINTIC
    wide = matrix.shape[0] < matrix.shape[1]
    x = matrix if wide else ops.transpose(matrix)
    x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = ops.matmul(x, ops.transpose(x))
        x = a * x + ops.matmul(b * gram + c * ops.matmul(gram, gram), x)
    return x if wide else ops.transpose(x)


def _is_kernel(shape: tuple[int, ...]) -> bool:
    """Return whether a variable is the kernel of a convolution over several voxels and channels."""
    if len(shape) < 3 or shape[-1] < 4 or shape[-2] == 1:
        return False
    return math.prod(shape[:-2]) > 1
