"""One-hot encoding as a layer."""

from typing import Any

import keras

from synthtf.label_arguments import DistinctLabels
from synthtf.layers.base import SynthesisLayer, Tensor, as_labels
from synthtf.ops.labels import one_hot


@keras.saving.register_keras_serializable(package="synthtf")
class OneHot(SynthesisLayer):
    """Give one channel per label value.

    Args:
        labels: label values, distinct and in ascending order; may be sparse. A label
            that is not listed counts as the first.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: `(batch, *spatial, len(labels))`, float32.

    Raises:
        ValueError: if the labels are not ascending and non-negative.

    Example:
    >>> import numpy as np
    >>> labels = np.array([0, 2035], "int32").reshape(1, 2, 1, 1)
    >>> np.asarray(OneHot([0, 2035])(labels)).reshape(2, 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    takes, gives = ("labels",), ()

    def __init__(self, labels: DistinctLabels, **kwargs: Any) -> None:
        super().__init__(labels=labels, **kwargs)
        if list(self.labels) != sorted(self.labels):
            raise ValueError(f"`labels` must be ascending. Received: labels={labels!r}")

    def call(self, inputs: Tensor) -> Tensor:
        """Encode."""
        return one_hot(as_labels(inputs), self.labels)

    def output_spec(self, inputs: Any) -> Any:
        """One channel per label."""
        return keras.KerasTensor((*inputs.shape[:-1], len(self.labels)), "float32")
