"""The model that learns to find changes."""

from typing import Any

import keras

from synthtf.data.label_table import LabelTable
from synthtf.networks import unet
from synthtf.networks.parts import with_label_head
from synthtf.ranges import Range
from synthtf.synthesis import labels_to_visits
from synthtf.tasks.changing.options import ChangeTask
from synthtf.tasks.regressing.model import RegressionModel


def change_network(task: ChangeTask, ndim: int, num_labels: int) -> keras.Model:
    """Build the network: a U-Net of two channels.

    Args:
        task: size, and the regions.
        ndim: spatial axes.
        num_labels: classes whose posteriors it returns behind the changes. 0: none.
    """
    network = unet(len(task.regions), ndim, task.network, final_activation=None, num_inputs=2)
    return with_label_head(network, num_labels) if num_labels else network


def build(
    task: ChangeTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> RegressionModel:
    """Build the combined model; see `Task.build`.

    The changes are few voxels, so that their squared error, which makes the sum over voxels right
    on average, is small beside that of the labels: each is divided by a scale that is learned.
    """
    synthesis = labels_to_visits(
        shape,
        table,
        recipe,
        spacing,
        regions=task.regions,
        between=task.between,
        same_contrast=task.same_contrast,
    )
    labels = table.output_labels if task.segment else ()
    network = network or change_network(task, len(shape), len(labels))
    return RegressionModel(
        synthesis, network, ("change",), "l2", "uncertainty", labels, name=task.function
    )
