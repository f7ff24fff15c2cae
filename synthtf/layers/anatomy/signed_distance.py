"""Distance to the border of a region of labels, as a layer."""

from collections.abc import Sequence
from typing import Annotated, Any

import keras
from keras import ops

from synthtf.arguments import Limits, Spacing
from synthtf.label_arguments import Labels
from synthtf.layers.base import SynthesisLayer, Tensor, as_labels
from synthtf.ops.distance import close_region, signed_distance
from synthtf.ops.labels import map_labels
from synthtf.ranges import per_axis


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
        **kwargs: arguments of `keras.layers.Layer`.

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

    takes, gives = ("labels",), ()

    def __init__(
        self,
        labels: Labels,
        spacing: Spacing = 1.0,
        limit: Annotated[float, Limits(1e-3, unit="mm")] = 10.0,
        closing: Annotated[float, Limits(0, unit="mm")] = 0.0,
        within: Labels | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            labels=labels, spacing=spacing, limit=limit, closing=closing, within=within, **kwargs
        )

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


def _is_one_of(labels: Tensor, values: Sequence[int]) -> Tensor:
    return map_labels(labels, dict.fromkeys(values, 1)) == 1
