"""Integration of a velocity field as a layer."""

from typing import Annotated, Any

import keras

from synthtf.arguments import Limits
from synthtf.layers.base import SynthesisLayer, Tensor, as_image
from synthtf.ops.fields import integrate_velocity


@keras.saving.register_keras_serializable(package="synthtf")
class IntegrateVelocity(SynthesisLayer):
    """Integrate a stationary velocity field over unit time into a displacement field.

    Scaling and squaring: `u = v / 2^steps`, then `steps` times `u(x) += u(x + u(x))`, positions
    clamped to the border. The negated velocity gives the inverse.

    Args:
        steps: number of squarings, at least zero; with zero the velocity is the displacement.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, ndim)`, in voxels of its own grid per unit of time.
    Output shape: the same, in voxels of the same grid.

    Raises:
        ValueError: if `steps` is not an integer of at least zero, or if the last axis of the
            input does not have one component per spatial axis.

    Example:
    >>> import numpy as np
    >>> float(IntegrateVelocity()(np.ones((1, 8, 8, 2), "float32"))[0, 4, 4, 0])
    1.0

    Reference:
        Arsigny et al., A log-Euclidean framework for statistics on diffeomorphisms, MICCAI 2006.
    """

    takes, gives = ("transform",), ()

    def __init__(self, steps: Annotated[int, Limits(0, 20)] = 5, **kwargs: Any) -> None:
        super().__init__(steps=steps, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Integrate."""
        check_field(inputs, self.__class__.__name__)
        return integrate_velocity(as_image(inputs), self.steps)

    def output_spec(self, inputs: Any) -> Any:
        """The input's shape, float32."""
        check_field(inputs, self.__class__.__name__)
        return keras.KerasTensor(inputs.shape, "float32")


def check_field(inputs: Any, name: str) -> None:
    """Check that a tensor has one component per spatial axis.

    Raises:
        ValueError: if it does not; `name` is the layer's.
    """
    shape = tuple(inputs.shape)
    if len(shape) < 3 or shape[-1] != len(shape) - 2:
        raise ValueError(
            f"{name} takes a field (batch, *spatial, ndim) with one component per spatial axis. "
            f"Received: shape {shape}"
        )
