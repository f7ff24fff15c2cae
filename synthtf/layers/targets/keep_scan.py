"""The real scan of a label map as a target."""

import keras

from synthtf.layers.base import SynthesisLayer, Tensor, as_image


@keras.saving.register_keras_serializable(package="synthtf")
class KeepScan(SynthesisLayer):
    """Keep the real scan of the label map as a target, moved as the label map is.

    The network then learns to make such a scan, T1-weighted for example, of images of any
    contrast. A recipe with this step builds a model with the further input "scan", which
    `synthtf.data.LabelMaps` gives if it has `scans`. The transforms of the recipe move the scan
    once, by linear interpolation, whether they stand before or behind this step.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Example:
    >>> import numpy as np
    >>> scan = np.array([0, 0.5, 1], "float32").reshape(1, 3, 1, 1)
    >>> np.asarray(KeepScan()(scan)).ravel().tolist()
    [0.0, 0.5, 1.0]

    Reference: Iglesias et al., SynthSR: a public AI tool to turn heterogeneous clinical brain
        scans into high-resolution T1-weighted images for 3D morphometry, Science Advances 2023.
    """

    takes, gives, step_name = ("scan",), ("target",), "real"

    def call(self, inputs: Tensor) -> Tensor:
        """Give it as it is."""
        return as_image(inputs)
