"""The gain of a step as a target."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf.layers.base import SynthesisLayer, Tensor, as_image
from synthtf.ops.elementwise import in_whole_vectors

_LEAST = 1e-3


def as_step_name(value: Any, name: str) -> str:
    """Check the name of a step, or of what it draws."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"`{name}` must be the name of a step. Received: {name}={value!r}")
    return value


@keras.saving.register_keras_serializable(package="synthtf")
class KeepGain(SynthesisLayer):
    """Keep what a step multiplies the image by as a target, such as a bias field.

    A recipe gives the layer an image of ones that the step has been applied to. The target is the
    logarithm of that gain, less the middle of its range: no image tells the gain as a whole.

    Args:
        of: name of the step of the recipe, before this one, such as "bias".
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, channels)`, float, the gain.
    Output shape: the same, float32.

    Raises:
        ValueError: if `of` is not a name.

    Example:
    >>> import numpy as np
    >>> gain = np.exp(np.array([0, 1, 2], "float32")).reshape(1, 3, 1, 1)
    >>> np.asarray(KeepGain()(gain)).ravel().tolist()
    [-1.0, 0.0, 1.0]
    """

    gives, step_name = ("target",), "log_gain"

    def __init__(self, of: Annotated[str, as_step_name] = "bias", **kwargs: Any) -> None:
        super().__init__(of=of, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Take the logarithm."""
        gain = in_whole_vectors(ops.log, ops.maximum(as_image(inputs), _LEAST))
        spatial = tuple(range(1, len(inputs.shape) - 1))
        low, high = (f(gain, axis=spatial, keepdims=True) for f in (ops.min, ops.max))
        return gain - 0.5 * (low + high)
