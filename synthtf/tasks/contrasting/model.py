"""The model that learns features."""

from dataclasses import replace
from typing import Any

import keras
from keras import layers, ops

from synthtf.data.label_table import LabelTable
from synthtf.losses import contrastive_loss, similarities
from synthtf.networks import unet
from synthtf.ops.indexing import take_per_sample
from synthtf.ranges import Range
from synthtf.synthesis import Views, keeps_anatomy, labels_to_views
from synthtf.synthesis.voxels import DrawVoxels, TakeVoxels
from synthtf.tasks.contrasting.options import ContrastiveTask
from synthtf.training.combined import CombinedModel

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf")
class ContrastiveModel(CombinedModel):
    """Synthesis of two contrasts and a network of features; see `ContrastiveTask`.

    Args:
        synthesis: model with the outputs "image", "other", "labels" and "voxels".
        task_model: from images to features.
        temperature: see `contrastive_loss`.
        **kwargs: arguments of `keras.Model`.
    """

    def __init__(
        self, synthesis: keras.Model, task_model: keras.Model, temperature: float, **kwargs: Any
    ) -> None:
        super().__init__(synthesis, task_model, **kwargs)
        self.temperature = float(temperature)
        self.nearest = keras.metrics.Mean(name="nearest_of_same_label")

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Give the features and the labels of the voxels in both images."""
        take, voxels = TakeVoxels(name="at_voxels"), samples["voxels"]
        both = ops.concatenate([samples["image"], samples["other"]], axis=0)
        found = [take(maps, voxels) for maps in ops.split(network(both), 2, axis=0)]
        classes = TakeVoxels(name="labels_at_voxels")(samples["labels"], voxels)[..., 0]
        return {
            "features": ops.concatenate(found, axis=1),
            "classes": ops.concatenate([classes, classes], axis=1),
        }

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Compare all voxels with each other."""
        features, classes = outputs["features"], outputs["classes"]
        return ops.mean(contrastive_loss(features, classes, self.temperature))

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update how often the most similar voxel of the other image has the same label."""
        classes = outputs["classes"]
        half = classes.shape[1] // 2
        across = similarities(outputs["features"])[:, :half, half:]
        nearest = ops.cast(ops.argmax(across, axis=-1), "int32")
        found = take_per_sample(classes[:, half:], nearest)
        self.nearest.update_state(ops.cast(found == classes[:, :half], "float32"))

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}


def feature_network(task: ContrastiveTask, ndim: int, num_inputs: int = 1) -> keras.Model:
    """Build the network: a U-Net without a final activation, whose outputs have the length 1.

    Args:
        task: size, and number of features.
        ndim: spatial axes.
        num_inputs: channels of its input.
    """
    network = unet(task.embedding, ndim, task.network, final_activation=None, num_inputs=num_inputs)
    unit = layers.UnitNormalization(axis=-1, dtype="float32", name="unit_features")
    return keras.Model(network.input, unit(network.output), name=network.name)


def build(
    task: ContrastiveTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> ContrastiveModel:
    """Build the combined model; see `Task.build`."""
    # Each label is a class of its own, whatever it counts as in a segmentation.
    table = replace(table, outputs=table.ids)
    made = labels_to_views(shape, table, recipe, spacing, Views(2, keeps_anatomy))
    image, labels = made.output["image"], made.output["labels"]
    draw = DrawVoxels(task.voxels, name="voxels")
    outputs = {
        "image": image,
        "other": made.output["images"][:, 1],
        "labels": labels,
        "voxels": draw(labels, key=made.input["key"]),
    }
    synthesis = keras.Model(made.input, outputs, name="synthesis")
    network = network or feature_network(task, len(shape), image.shape[-1])
    return ContrastiveModel(synthesis, network, task.temperature, name=task.function)
