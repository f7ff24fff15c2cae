"""Min-max normalisation as a layer."""

import keras

from synthtf.layers.base import SynthesisLayer, Tensor, as_image
from synthtf.ops.noise import normalize


@keras.saving.register_keras_serializable(package="synthtf")
class MinMaxNormalize(SynthesisLayer):
    """Map each sample and channel linearly to [0, 1]; a constant one becomes 0.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Example:
    >>> import numpy as np
    >>> image = np.array([1, 2, 3], "float32").reshape(1, 3, 1, 1)
    >>> np.asarray(MinMaxNormalize()(image)).ravel().tolist()
    [0.0, 0.5, 1.0]
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Normalise."""
        return normalize(as_image(inputs))
