"""Distance to the border of a region of labels, as a layer."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf.layers.base import SynthesisLayer, Tensor, as_labels
from synthtf.ops.distance import close_region, signed_distance
from synthtf.ops.labels import map_labels
from synthtf.ranges import Range, as_range, as_spacing, per_axis


@keras.saving.register_keras_serializable(package="synthtf")
class SignedDistance(SynthesisLayer):
    """Give each voxel its distance to the border of a region, in mm, negative within.

    Distances are truncated, and exact to half a voxel; beyond the borders of the label map,
    nothing is assumed.

    Args:
        labels: label values of the region.
        spacing: mm per voxel, a scalar or one per axis.
        limit: largest distance in mm, above 0.
        closing: radius in mm of the ball that closes the region first, at least 0: gaps that it
            does not fit into, such as sulci, count as the region.
        within: label values that gaps may have to be closed. None: any.
        **kwargs: of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: `(batch, *spatial, 1)`, float32.

    Raises:
        ValueError: if an argument is out of range.

    Example:
    >>> import numpy as np
    >>> labels = np.array([0, 0, 0, 2, 2, 2], "int32").reshape(1, 6, 1, 1)
    >>> np.asarray(SignedDistance([2], spacing=(2, 2), limit=4)(labels)).ravel().tolist()
    [4.0, 3.0, 1.0, -1.0, -3.0, -4.0]

    Reference: Hoopes et al., SynthStrip, NeuroImage 2022.
    """

    def __init__(
        self,
        labels: Sequence[int],
        spacing: Range = 1.0,
        limit: float = 10.0,
        closing: float = 0.0,
        within: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.labels = tuple(int(v) for v in labels)
        if not self.labels or min(self.labels) < 0:
            raise ValueError(f"`labels` must be non-negative. Received: labels={self.labels}")
        self.spacing = as_spacing(spacing)
        self.limit = as_range(limit, "limit", 0)[0]
        self.closing = as_range(closing, "closing", 0)[0]
        if not self.limit:
            raise ValueError(f"`limit` must be above 0. Received: limit={limit!r}")
        self.within = None if within is None else tuple(int(v) for v in within)

    def call(self, inputs: Tensor) -> Tensor:
        """Measure."""
        labels = as_labels(inputs)
        spacing = per_axis(self.spacing, len(labels.shape) - 2)
        region = _is_one_of(labels, self.labels)
        closed = close_region(region, spacing, self.closing)
        if self.within is not None:
            closed = ops.logical_or(region, closed & _is_one_of(labels, self.within))
        return signed_distance(closed, spacing, self.limit)

    def output_spec(self, inputs: Any) -> Any:
        """One distance per voxel."""
        return keras.KerasTensor(inputs.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "labels": self.labels,
            "spacing": self.spacing,
            "limit": self.limit,
            "closing": self.closing,
            "within": self.within,
        }


def _is_one_of(labels: Tensor, values: Sequence[int]) -> Tensor:
    return map_labels(labels, dict.fromkeys(values, 1)) == 1
