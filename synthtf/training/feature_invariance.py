"""Watching, while a network is trained, how much its features depend on contrast."""

from typing import Any

import keras
import numpy as np

from synthtf.inference.invariance import Invariance, compare_features


class FeatureInvariance(keras.callbacks.Callback):
    """Compare the features of images of one anatomy in several contrasts after some epochs.

    The log of the epoch gets `invariance`, the mean correlation over the layers, and
    `output_invariance`, that of the output.

    Args:
        images: `(images, *spatial)` on one grid, as `synthtf.inference.co_registered` brings scans
            to, or `synthtf.inference.rendered` synthesises.
        every: epochs between comparisons.

    Attributes:
        found: the last comparison, see `Invariance`.

    Example:
        images = synthtf.inference.co_registered(["T1.nii.gz", "T2.nii.gz"], model)
        model.fit(maps, epochs=100, callbacks=[FeatureInvariance(images, every=10)])
    """

    def __init__(self, images: np.ndarray, every: int = 5) -> None:
        super().__init__()
        self.images, self.every = images, every
        self.found: Invariance | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compare, if it is the turn of this epoch."""
        if (epoch + 1) % self.every:
            return
        self.found = compare_features(self.model.task_model, self.images)
        found = [layer["ncc"] for name, layer in self.found.layers.items() if name != "image"]
        if logs is not None:
            logs["invariance"], logs["output_invariance"] = float(np.mean(found)), found[-1]
