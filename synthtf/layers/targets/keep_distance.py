"""Distances to the borders of structures as a target."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf.arguments import Limits, Spacing
from synthtf.label_arguments import OverlappingRegions
from synthtf.layers.base import SynthesisLayer, Tensor, as_labels
from synthtf.layers.scene import Scene
from synthtf.ops.distance import signed_distance
from synthtf.ops.labels import map_labels
from synthtf.ranges import per_axis


@keras.saving.register_keras_serializable(package="synthtf")
class KeepDistance(SynthesisLayer):
    """Keep the signed distances to the borders of regions as a target, a channel each.

    They are in mm, negative within, and truncated; see `SignedDistance`. Regions may overlap, as
    what lies within the white and within the pial surface does. Distances are measured in the
    label map as it is here, so all transforms of a recipe must come before.

    Args:
        regions: regions: label values, lists of values, or, in a recipe, names of regions of the
            label table.
        limit: largest distance.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: `(batch, *spatial, regions)`, float32 in `[-limit, limit]`.

    Raises:
        ValueError: if there is no region, or the limit is out of range.

    Example:
    >>> import numpy as np
    >>> labels = np.array([0, 0, 2, 2], "int32").reshape(1, 4, 1, 1)
    >>> np.asarray(KeepDistance([2], spacing=(2, 2))(labels)).ravel().tolist()
    [3.0, 1.0, -1.0, -3.0]

    Reference: Liu et al., Brain-ID: learning contrast-agnostic anatomical representations for
        brain imaging, ECCV 2024.
    """

    takes, gives, from_table, step_name = ("labels",), ("target",), ("regions",), "distance"
    is_still = True

    def __init__(
        self,
        regions: OverlappingRegions = ("brain",),
        limit: Annotated[float, Limits(1e-3, unit="mm")] = 5.0,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(regions=regions, limit=limit, spacing=spacing, **kwargs)

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the labels of each region; those of one may be of another as well."""
        regions = [scene.labels([region]) for region in self.regions]
        return {**super().bind(scene), "regions": regions}

    def call(self, inputs: Tensor) -> Tensor:
        """Measure."""
        labels = as_labels(inputs)
        regions = [map_labels(labels, dict.fromkeys(values, 1)) == 1 for values in self.regions]
        spacing = per_axis(self.spacing, len(labels.shape) - 2)
        return signed_distance(ops.concatenate(regions, axis=-1), spacing, self.limit)

    def output_spec(self, inputs: Any) -> Any:
        """One channel per region."""
        return keras.KerasTensor((*inputs.shape[:-1], len(self.regions)), "float32")
