"""The image as a target."""

import keras

from synthtf.layers.base import SynthesisLayer, Tensor, as_image
from synthtf.ops.noise import normalize


@keras.saving.register_keras_serializable(package="synthtf")
class KeepImage(SynthesisLayer):
    """Keep the image as it is here as a target; the steps behind it corrupt the network's input.

    Before the resolution is lost, it is the target of super-resolution; before noise and motion,
    that of their removal. Each sample and channel is mapped linearly to [0, 1].

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Example:
    >>> import numpy as np
    >>> image = np.array([1, 2, 3], "float32").reshape(1, 3, 1, 1)
    >>> np.asarray(KeepImage()(image)).ravel().tolist()
    [0.0, 0.5, 1.0]

    Reference: Iglesias et al., Joint super-resolution and synthesis of 1 mm isotropic MP-RAGE
        volumes from clinical MRI exams with scans of different orientation, resolution and
        contrast, NeuroImage 2021.
    """

    gives, step_name = ("target",), "clean"

    def call(self, inputs: Tensor) -> Tensor:
        """Normalise."""
        return normalize(as_image(inputs))
