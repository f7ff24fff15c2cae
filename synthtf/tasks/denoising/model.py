"""The model that learns to correct label maps."""

from typing import Any

import keras
from keras import ops

from synthtf.data.label_table import LabelTable
from synthtf.networks import unet
from synthtf.ranges import Range
from synthtf.tasks.denoising.corruption import corrupt
from synthtf.tasks.denoising.options import DenoisingTask
from synthtf.tasks.segmenting.model import SegmentationModel, channel_pairs, make_loss

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf")
class DenoisingModel(SegmentationModel):
    """Label maps with errors, and a network that corrects them; see `DenoisingTask`.

    Args:
        synthesis: model with the outputs "corrupted", one-hot, and "labels".
        task_model: from one-hot maps to posteriors.
        output_labels: as for `SegmentationModel`.
        loss: as for `SegmentationModel`.
        warm_up: as for `SegmentationModel`.
        **kwargs: arguments of `keras.Model`.
    """

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Correct the label map."""
        return {**network(samples["corrupted"]), "labels": samples["labels"]}


def build(
    task: DenoisingTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> DenoisingModel:
    """Build the combined model; see `Task.build`."""
    synthesis, values = recipe.build(shape, table, spacing), table.output_labels
    labels, key = synthesis.output["labels"], synthesis.input["key"]
    corrupted = corrupt(labels, key, values, table.brain_outputs, spacing, task.errors)
    index = ops.argmax(corrupted, axis=-1, keepdims=True)
    picture = ops.cast(index, "float32") / max(len(values) - 1, 1)
    outputs = {"corrupted": corrupted, "image": picture, "labels": labels}
    synthesis = keras.Model(synthesis.input, outputs, name="synthesis")
    network = network or unet(
        len(values), len(shape), task.network, num_inputs=len(values), pairs=channel_pairs(table)
    )
    loss = make_loss(task.loss, table)
    return DenoisingModel(synthesis, network, values, loss, task.warm_up, name=task.function)
