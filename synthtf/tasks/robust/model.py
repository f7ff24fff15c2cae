"""The model that learns to segment by way of tissues."""

from typing import Any

import keras
from keras import ops

from synthtf.data.label_table import LabelTable
from synthtf.layers import MapLabels
from synthtf.networks import unet
from synthtf.ranges import Range
from synthtf.tasks.denoising.corruption import corrupt
from synthtf.tasks.robust.options import RobustTask
from synthtf.tasks.segmenting.model import SegmentationModel, channel_pairs, make_loss


def build(
    task: RobustTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> SegmentationModel:
    """Build the combined model of images with tissues behind them; see `Task.build`."""
    synthesis, tissues = recipe.build(shape, table, spacing), task.grouped(table)
    labels, key = synthesis.output["labels"], synthesis.input["key"]
    mapping = {label: tissues.mapping[label] for label in table.output_labels}
    maps = corrupt(
        MapLabels(mapping, name="tissues")(labels),
        key,
        tissues.output_labels,
        tissues.brain_outputs,
        spacing,
        task.errors,
    )
    image = ops.concatenate([synthesis.output["image"], maps], axis=-1)
    outputs = {"image": image, "labels": labels}
    synthesis = keras.Model(synthesis.input, outputs, name="synthesis")
    values = table.output_labels
    network = network or unet(
        len(values),
        len(shape),
        task.network,
        num_inputs=image.shape[-1],
        pairs=channel_pairs(table),
    )
    loss = make_loss(task.loss, table)
    return SegmentationModel(synthesis, network, values, loss, task.warm_up, name=task.function)
