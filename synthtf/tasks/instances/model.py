"""The model that learns to tell objects apart."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from synthtf.data.label_table import LabelTable
from synthtf.layers import StarDistances
from synthtf.ranges import Range
from synthtf.tasks.instances.options import InstancesTask
from synthtf.training.combined import CombinedModel

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf")
class InstancesModel(CombinedModel):
    """Synthesis and a network of star-convex distances; see `InstancesTask`, which makes one.

    The loss is the cross-entropy of the object probability, plus the mean absolute error of the
    distances, in which each voxel counts as much as its probability.

    Args:
        synthesis: model with the outputs "image" and "labels".
        task_model: from images to a logit and the distances in mm.
        objects: label values of the objects.
        rays: number of distances.
        limit: largest distance in mm.
        distance_weight: weight of their error.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: arguments of `keras.Model`.

    Reference: Schmidt et al., Cell detection with star-convex polygons, MICCAI 2018, whose error
        is a mean over voxels, not a weighted one; this is that of its public code.
    """

    output_labels = (0, 1)

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        objects: Sequence[int],
        rays: int,
        limit: float,
        distance_weight: float,
        spacing: Range,
        **kwargs: Any,
    ) -> None:
        labels = layers.Input(synthesis.output["labels"].shape[1:], dtype="int32", name="labels")
        image = layers.Input(synthesis.output["image"].shape[1:], dtype="float32", name="image")
        stars = StarDistances(objects, rays, limit, spacing, name="stars")
        outputs = {"found": task_model(image), "target": stars(labels)}
        network = keras.Model({"image": image, "labels": labels}, outputs, name=task_model.name)
        super().__init__(synthesis, task_model, network, **kwargs)
        self.objects, self.rays = tuple(map(int, objects)), rays
        self.limit, self.distance_weight, self.spacing = limit, distance_weight, spacing
        self.cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True, dtype="float32")
        self.errors = [keras.metrics.Mean(n) for n in ("probability_loss", "distance_mm")]

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Look at the synthetic image, and measure its label map."""
        return network({name: samples[name] for name in ("image", "labels")})

    def parts_of_loss(self, outputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Give the cross-entropy of the probability, and the error of the distances in mm."""
        found, target = ops.cast(outputs["found"], "float32"), outputs["target"]
        probability = target[..., :1]
        error = ops.mean(ops.abs(found[..., 1:] - target[..., 1:]), axis=-1, keepdims=True)
        distance = ops.sum(probability * error) / ops.maximum(ops.sum(probability), 1.0)
        return self.cross_entropy(probability, found[..., :1]), distance

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Compare probabilities and distances."""
        probability, distance = self.parts_of_loss(outputs)
        return probability + self.distance_weight * distance

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update both losses."""
        for metric, value in zip(self.errors, self.parts_of_loss(outputs), strict=True):
            metric.update_state(value)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "objects": self.objects,
            "rays": self.rays,
            "limit": self.limit,
            "distance_weight": self.distance_weight,
            "spacing": self.spacing,
        }


def build(
    task: InstancesTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> InstancesModel:
    """Build the combined model; see `Task.build`.

    Raises:
        ValueError: if there is no object.
    """
    synthesis = recipe.build(shape, table, spacing)
    objects = [v for v in table.output_labels if v]
    if not objects:
        raise ValueError("`labels` must list objects, one label each. Received: none but 0")
    network = network or task.make_network(len(shape), 1)
    return InstancesModel(
        synthesis,
        network,
        objects,
        task.rays,
        task.limit,
        task.distance_weight,
        spacing,
        name=task.function,
    )
