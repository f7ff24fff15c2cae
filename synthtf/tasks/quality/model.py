"""The model that learns to judge segmentations or images."""

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
from synthtf.networks import quality_encoder
from synthtf.ranges import Range
from synthtf.runs.run import as_run
from synthtf.tasks.denoising.corruption import corrupt
from synthtf.tasks.quality.options import QualityTask
from synthtf.training.combined import CombinedModel

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf")
class QualityModel(CombinedModel):
    """What is to be judged, and a network that judges it; see `QualityTask`.

    Args:
        synthesis: model with the output "quality", numbers, and "groups", one-hot, or "image".
        task_model: from "groups", or else "image", to the numbers.
        output_labels: label value of each number, if they are of labels.
        scales: what the error of each number is divided by. Empty: all alike.
        **kwargs: arguments of `keras.Model`.
    """

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        output_labels: Sequence[int],
        scales: Sequence[float] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(synthesis, task_model, **kwargs)
        self.output_labels = tuple(int(v) for v in output_labels)
        self.scales = tuple(float(x) for x in scales)
        self.error = keras.metrics.Mean(name="error")

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Judge, and find out what is true."""
        judged = samples["groups" if "groups" in samples else "image"]
        return {"scores": network(judged), "quality": samples["quality"]}

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Compare the two."""
        return ops.mean(ops.square(self._errors(outputs)), axis=-1)

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update the mean difference."""
        self.error.update_state(ops.mean(ops.abs(self._errors(outputs))))

    def _errors(self, outputs: dict[str, Tensor]) -> Tensor:
        errors = ops.cast(outputs["scores"], "float32") - outputs["quality"]
        return errors / ops.convert_to_tensor(self.scales or (1.0,))

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        labels = {"output_labels": self.output_labels, "scales": self.scales}
        return {**super().get_config(), **labels}


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
        ValueError: if the segmenter has other labels than the table, or the recipe keeps draws and
            there is a segmenter.
    """
    if recipe.numbers:
        return _of_images(task, shape, table, spacing, recipe, network)
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
    outputs = {
        "groups": groups,
        "image": image,
        "labels": parts["labels"],
        "truth": truth,
        "quality": _dice(groups, truth),
    }
    synthesis = keras.Model(synthesis.input, outputs, name="synthesis")
    network = network or task.make_network(len(shape), len(values))
    return QualityModel(synthesis, network, values[1:], name=task.function)


def _dice(groups: Tensor, truth: Tensor) -> Tensor:
    """Dice of all channels but the first, `(batch, channels - 1)`."""
    axes = tuple(range(1, len(groups.shape) - 1))
    both = ops.sum(groups * truth, axis=axes)
    size = ops.sum(groups, axis=axes) + ops.sum(truth, axis=axes)
    # What is in neither of the two is right.
    return ((2 * both + 1e-3) / (size + 1e-3))[:, 1:]


def _of_images(
    task: QualityTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> QualityModel:
    """Build the model that learns the draws which the recipe keeps."""
    if task.segmenter is not None:
        raise ValueError(
            "`segmenter` must be left out for a recipe that keeps draws: then images are judged. "
            f"Received: recipe={recipe!r}"
        )
    synthesis = recipe.build(shape, table, spacing)
    parts = {name: synthesis.output[name] for name in ("image", "labels")}
    parts["quality"] = ops.concatenate([synthesis.output[n] for n in recipe.numbers], axis=-1)
    synthesis = keras.Model(synthesis.input, parts, name="synthesis")
    size, channels = task.network, parts["image"].shape[-1]
    network = network or quality_encoder(
        channels, len(recipe.numbers), size.level_features, size.kernel_size, ndim=len(shape)
    )
    scales = [_largest(recipe, recipe[name]) for name in recipe.numbers]
    model = QualityModel(synthesis, network, (), scales, name=task.function)
    model.facts = {"numbers": list(recipe.numbers)}
    return model


def _largest(recipe: Any, kept: Any) -> float:
    """Largest size of what is kept, if the step says so by an argument of its name; else 1."""
    limited = recipe[kept.of].ranges().get(kept.draw)
    sizes = [abs(x) for x in (limited.low, limited.high)] if limited else []
    return max(sizes, default=0) or 1.0


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
