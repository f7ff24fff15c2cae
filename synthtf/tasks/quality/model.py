"""The model that learns to judge segmentations."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf.data.label_table import LabelTable
from synthtf.data.tissues import tissue_table
from synthtf.layers import (
    MapLabels,
    MinMaxNormalize,
    OneHot,
    RandomBlur,
    RandomNoise,
    RandomResolution,
)
from synthtf.ranges import Range
from synthtf.runs.run import as_run
from synthtf.tasks.denoising.corruption import corrupt
from synthtf.tasks.quality.options import QualityTask
from synthtf.training.combined import CombinedModel

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf")
class QualityModel(CombinedModel):
    """Segmentations of synthetic images, and a network that judges them; see `QualityTask`.

    Args:
        synthesis: model with the outputs "groups" and "truth", one-hot.
        task_model: from "groups" to the Dice of all of them but the first.
        output_labels: label value of each Dice.
        **kwargs: arguments of `keras.Model`.
    """

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        output_labels: Sequence[int],
        **kwargs: Any,
    ) -> None:
        super().__init__(synthesis, task_model, **kwargs)
        self.output_labels = tuple(int(v) for v in output_labels)
        self.error = keras.metrics.Mean(name="error")

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Predict the Dice, and find out what it is."""
        groups, truth = samples["groups"], samples["truth"]
        axes = tuple(range(1, len(groups.shape) - 1))
        both = ops.sum(groups * truth, axis=axes)
        size = ops.sum(groups, axis=axes) + ops.sum(truth, axis=axes)
        # What is in neither of the two is right.
        dice = (2 * both + 1e-3) / (size + 1e-3)
        return {"scores": network(groups), "dice": dice[:, 1:]}

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Compare the two."""
        scores = ops.cast(outputs["scores"], "float32")
        return ops.mean(ops.square(scores - outputs["dice"]), axis=-1)

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update the mean difference."""
        self.error.update_state(ops.mean(ops.abs(outputs["scores"] - outputs["dice"])))

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "output_labels": self.output_labels}


def build(
    task: QualityTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> QualityModel:
    """Build the combined model; see `Task.build`.

    Raises:
        ValueError: if the segmenter has other labels than the table.
    """
    synthesis, tissues = recipe.build(shape, table, spacing), tissue_table(table)
    parts, key = synthesis.output, synthesis.input["key"]
    values = tissues.output_labels
    mapping = {label: tissues.mapping[label] for label in table.output_labels}
    true_tissues = MapLabels(mapping, name="tissues")(parts["labels"])
    image = parts["image"]
    if task.segmenter is None:
        groups = corrupt(true_tissues, key, values, tissues.brain_outputs, spacing, task.damage)
    else:
        image = _spoil(image, key, spacing, task.damage)
        segmenter = _frozen(task.segmenter, table, len(shape))
        found = ops.cast(ops.argmax(segmenter(image), axis=-1, keepdims=True), "int32")
        channels = dict(enumerate(mapping[label] for label in table.output_labels))
        groups = OneHot(values, name="groups")(MapLabels(channels, name="found_tissues")(found))
    truth = OneHot(values, name="truth")(true_tissues)
    outputs = {"groups": groups, "image": image, "labels": parts["labels"], "truth": truth}
    synthesis = keras.Model(synthesis.input, outputs, name="synthesis")
    network = network or task.make_network(len(shape), len(values))
    return QualityModel(synthesis, network, values[1:], name=task.function)


def _spoil(image: Tensor, key: Tensor, spacing: Range, damage: float) -> Tensor:
    """Take resolution from images and add noise, from hardly any to far too much."""
    steps = [
        RandomResolution(
            (1, 1 + 9 * damage), probability=0.6, spacing=spacing, name="damage_resolution"
        ),
        RandomBlur((0, 4 * damage), probability=0.6, spacing=spacing, name="damage_blur"),
        RandomNoise((0, 0.5 * damage), probability=0.8, name="damage_noise"),
    ]
    for step in steps:
        image = step(image, key=key)
    return MinMaxNormalize(name="damage_range")(image)


def _frozen(segmenter: Any, table: LabelTable, ndim: int) -> keras.Model:
    """Copy the network of a run, not to be trained."""
    run = as_run(segmenter)
    if run.output_labels != table.output_labels or len(run.shape) != ndim:
        raise ValueError(
            f"`segmenter` must segment into the {len(table.output_labels)} output labels of the "
            f"label table, in {ndim} dimensions. Received: {run.name}, of the task {run.task}, "
            f"with {len(run.output_labels)} in {len(run.shape)}"
        )
    network = keras.models.clone_model(run.task_model)
    network.set_weights(run.task_model.get_weights())
    network.trainable = False
    return network
