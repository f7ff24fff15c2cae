"""The real scan of a label map in the place of the synthetic image."""

from typing import Any

import keras
from keras import ops

from synthtf.layers.base import SynthesisLayer, Tensor, as_image


@keras.saving.register_keras_serializable(package="synthtf")
class ShowScan(SynthesisLayer):
    """Show the real scan of the label map, moved as the label map is, instead of an image of it.

    A network thus learns from real scans alone, or from real and synthetic images by turns. All
    later steps change either. A recipe with this step builds a model with the further input
    "scan", which `synthtf.data.LabelMaps` gives if it has `scans`; those of `synthtf.data.Mixed`
    are 0 everywhere where there is no scan. Such a sample keeps the synthetic image, if a step
    before this one has made one.

    Input shape: the scan `(batch, *spatial, channels)`, float; or a list of it and the synthetic
        image.
    Output shape: the same, float32.

    Example:
    >>> import numpy as np
    >>> scans = np.array([[0, 1], [0, 0]], "float32").reshape(2, 2, 1, 1)
    >>> images = np.full((2, 2, 1, 1), 0.5, "float32")
    >>> np.asarray(ShowScan()([scans, images])).reshape(2, 2).tolist()
    [[0.0, 1.0], [0.5, 0.5]]

    Reference: Billot et al., SynthSeg, Medical Image Analysis 2023, and Hoffmann, Domain-randomized
        deep learning for neuroimage analysis, 2025, for networks trained on real scans beside.
    """

    takes, also, step_name = ("scan",), ("image",), "scan_image"

    def call(self, inputs: Any) -> Tensor:
        """Take the scan where there is one."""
        if not isinstance(inputs, list | tuple):
            return as_image(inputs)
        scan, image = map(as_image, inputs)
        axes = tuple(range(1, len(scan.shape)))
        return ops.where(ops.any(scan != 0, axis=axes, keepdims=True), scan, image)

    def output_spec(self, inputs: Any) -> Any:
        """An image like the scan."""
        first = inputs[0] if isinstance(inputs, list | tuple) else inputs
        return keras.KerasTensor(first.shape, "float32")
