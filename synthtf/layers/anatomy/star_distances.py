"""What StarDist learns of objects, as a layer."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf.arguments import Limits, Spacing
from synthtf.label_arguments import DistinctLabels
from synthtf.layers.base import SynthesisLayer, Tensor, as_labels, known_grid
from synthtf.ops.labels import label_index
from synthtf.ops.stars import object_probability, ray_directions, star_distance


@keras.saving.register_keras_serializable(package="synthtf")
class StarDistances(SynthesisLayer):
    """Give each voxel the probability of its object, and its distances along rays to the border.

    The probability is 1 in the middle of an object and falls to its border: the distance to the
    border, relative to the largest one of the object. The rays are spread evenly: equal angles in
    2D, a Fibonacci lattice in 3D. They end at the border of the volume.

    Args:
        labels: label values of the objects, each a single one.
        rays: their number, at least 3 in 2D and 4 in 3D.
        limit: largest distance, mm.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: `(batch, *spatial, 1 + rays)`, float32: the probability, then distances in mm,
        all 0 where there is no object.

    Raises:
        ValueError: if an argument is out of range, or the spatial shape is not known.

    Example:
    >>> import numpy as np
    >>> labels = np.zeros((1, 7, 7, 1), "int32")
    >>> labels[:, 1:6, 1:6] = 4
    >>> layer = StarDistances([4], rays=4, limit=8)
    >>> [round(float(x), 2) for x in np.asarray(layer(labels))[0, 3, 2]]
    [0.6, 3.5, 2.5, 1.5, 2.5]

    Reference: Schmidt et al., Cell detection with star-convex polygons, MICCAI 2018; Weigert et
        al., Star-convex polyhedra for 3D object detection and segmentation in microscopy, WACV
        2020. There, distances have no limit.
    """

    takes, gives = ("labels",), ()

    def __init__(
        self,
        labels: DistinctLabels,
        rays: Annotated[int, Limits(3)] = 32,
        limit: Annotated[float, Limits(1e-3, unit="mm")] = 30.0,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(labels=labels, rays=rays, limit=limit, spacing=spacing, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Measure."""
        labels = as_labels(inputs)
        _, spacing = known_grid(self, tuple(labels.shape))
        values = sorted({0, *self.labels})
        index = label_index(labels, values)
        probability = object_probability(index, len(values) - 1, spacing, self.limit)
        directions = ray_directions(self.rays, len(spacing))
        return ops.concatenate(
            [probability, star_distance(index, directions, spacing, self.limit)], axis=-1
        )

    def output_spec(self, inputs: Any) -> Any:
        """A probability and a distance per ray."""
        _, spacing = known_grid(self, tuple(inputs.shape))
        ray_directions(self.rays, len(spacing))
        return keras.KerasTensor((*inputs.shape[:-1], 1 + self.rays), "float32")
