"""The model that learns to return images."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from synthtf.data.label_table import LabelTable
from synthtf.networks import unet
from synthtf.networks.parts import split_at_features, with_label_head
from synthtf.ranges import Range
from synthtf.runs.run import as_run
from synthtf.tasks.regressing.balance import (
    EqualGradients,
    EqualMagnitudes,
    LabelLoss,
    LearnedScales,
    WeighLosses,
)
from synthtf.tasks.regressing.options import RegressionTask
from synthtf.training.combined import CombinedModel

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf")
class RegressionModel(CombinedModel):
    """Synthesis and a network that returns images; see `RegressionTask`, which makes one.

    Args:
        synthesis: model with the output "image" and the targets.
        task_model: from images to the channels of all targets, and behind them to posteriors.
        targets: names of the outputs of `synthesis` to learn, in the order of the channels.
        loss: "l1" or "l2".
        balance: "sum", "magnitude", "uncertainty" or "gradients".
        output_labels: label value of each channel of the posteriors. Empty: there are none.
        segmenter: trained network of segmentation that is applied to a returned image.
        segmenter_labels: label value of each of its channels, and of those that count.
        segmenter_weight: weight of its loss.
        weights: weight of the loss of each target, then of the labels. Empty: 1 each.
        **kwargs: arguments of `keras.Model`.
    """

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        targets: Sequence[str],
        loss: str,
        balance: str,
        output_labels: Sequence[int] = (),
        segmenter: keras.Model | None = None,
        segmenter_labels: Sequence[Sequence[int]] = ((), ()),
        segmenter_weight: float = 0.0,
        weights: Sequence[float] = (),
        **kwargs: Any,
    ) -> None:
        self.targets, self.output_labels = tuple(targets), tuple(output_labels)
        sizes = [synthesis.output[name].shape[-1] for name in self.targets]
        ends = np.cumsum([0, *sizes, len(self.output_labels)]).tolist()
        parts = list(itertools.pairwise(ends))[: len(sizes) + bool(self.output_labels)]
        names = ["image", *self.targets]
        if self.output_labels or segmenter is not None:
            names.append("labels")
        inputs = {
            name: layers.Input(
                synthesis.output[name].shape[1:],
                dtype="int32" if name == "labels" else "float32",
                name=name,
            )
            for name in names
        }
        found = _heads(task_model, inputs["image"], parts, balance)
        size = ops.abs if loss == "l1" else ops.square
        each = [
            ops.mean(size(found[i] - inputs[name]), axis=tuple(range(1, len(found[i].shape))))
            for i, name in enumerate(self.targets)
        ]
        if self.output_labels:
            compare = LabelLoss(self.output_labels, name="label_loss")
            each.append(compare(inputs["labels"], found[-1]))
        outputs = {"losses": ops.stack(each, axis=-1)}
        if weights and len(weights) != len(each):
            raise ValueError(
                f"`weights` must be one per loss, {len(each)}. Received: weights={tuple(weights)}"
            )
        balanced = {"uncertainty": LearnedScales, "magnitude": EqualMagnitudes}
        add = balanced[balance](name="scales") if balance in balanced else _sum
        losses = outputs["losses"]
        outputs["loss"] = add(WeighLosses(weights)(losses) if weights else losses)
        if segmenter is not None:
            segmenter.trainable = False
            image = found[_image_target(synthesis, self.targets)]
            compare = LabelLoss(*segmenter_labels, name="segmenter_loss")
            outputs["segmenter"] = compare(inputs["labels"], segmenter(image))
            outputs["loss"] = outputs["loss"] + segmenter_weight * outputs["segmenter"]
        network = keras.Model(inputs, outputs, name=task_model.name)
        super().__init__(synthesis, task_model, network, **kwargs)
        self.regression_loss, self.balance = loss, balance
        self.segmenter, self.segmenter_labels = segmenter, segmenter_labels
        self.segmenter_weight, self.loss_factors = segmenter_weight, tuple(weights)
        self.facts = {"target_channels": sizes}
        names = [f"{name}_{loss}" for name in self.targets]
        names += ["label_loss"] * bool(self.output_labels)
        names += ["segmenter_dice_loss"] * (segmenter is not None)
        self.errors = [keras.metrics.Mean(name=name) for name in names]

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Compare what the network makes of the image with the targets."""
        return network({name: samples[name] for name in network.input})

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Add the losses of the targets."""
        return outputs["loss"]

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update the loss of each target."""
        losses = [outputs["losses"][:, i] for i in range(outputs["losses"].shape[-1])]
        if "segmenter" in outputs:
            losses.append(outputs["segmenter"])
        for metric, values in zip(self.errors, losses, strict=True):
            metric.update_state(values)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "targets": self.targets,
            "loss": self.regression_loss,
            "balance": self.balance,
            "output_labels": self.output_labels,
            "segmenter": self.segmenter and keras.saving.serialize_keras_object(self.segmenter),
            "segmenter_labels": self.segmenter_labels,
            "segmenter_weight": self.segmenter_weight,
            "weights": self.loss_factors,
        }


def _sum(losses: Tensor) -> Tensor:
    """Add up the losses of each sample."""
    return ops.sum(losses, axis=-1)


def _heads(
    task_model: keras.Model, image: Tensor, parts: Sequence[tuple[int, int]], balance: str
) -> list[Tensor]:
    """Give the outputs of a network apart from each other, with balanced gradients if need be."""
    if balance != "gradients":
        outputs = task_model(image)
        return [outputs[..., low:high] for low, high in parts]
    trunk, head = split_at_features(task_model)
    spread = EqualGradients(len(parts), name="equal_gradients")(trunk(image))
    outputs = [head([features, image]) for features in spread]
    return [x[..., low:high] for x, (low, high) in zip(outputs, parts, strict=True)]


def _image_target(synthesis: keras.Model, targets: Sequence[str]) -> int:
    """Number of the first target that is an image of one channel, neither gain nor distances."""
    for number, name in enumerate(targets):
        layer = next((layer for layer in synthesis.layers if layer.name == name), None)
        other = hasattr(layer, "of") or hasattr(layer, "regions")
        if not other and synthesis.output[name].shape[-1] == 1:
            return number
    raise ValueError(
        "`segmentation` needs a target that is an image of one channel, for the network to label. "
        f"Received: targets {', '.join(targets)}"
    )


def regression_network(
    task: RegressionTask, ndim: int, num_outputs: int, num_inputs: int = 1, num_labels: int = 0
) -> keras.Model:
    """Build the network: a U-Net without a final activation, plus its input for residuals.

    Args:
        task: size, and whether it returns residuals.
        ndim: spatial axes.
        num_outputs: channels of the images.
        num_inputs: channels of its input.
        num_labels: classes whose posteriors it returns behind the images, from the same features.
    """
    network = unet(num_outputs, ndim, task.network, final_activation=None, num_inputs=num_inputs)
    if task.residual:
        start = network.input[..., : max(num_outputs, 1)]
        total = layers.Add(dtype="float32", name="residual")([network.output, start])
        network = keras.Model(network.input, total, name=network.name)
    return with_label_head(network, num_labels) if num_labels else network


def build(
    task: RegressionTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> RegressionModel:
    """Build the combined model; see `Task.build`.

    Raises:
        ValueError: if the recipe keeps no target, or they do not fit the option `residual` or
            `segmentation`.
    """
    synthesis = recipe.build(shape, table, spacing)
    targets = recipe.targets
    if not targets:
        raise ValueError(
            "`recipe` must keep what the network shall return, by a step such as KeepImage, "
            f"RenderContrast or KeepGain. Received: recipe={recipe!r}"
        )
    channels, *sizes = (synthesis.output[name].shape[-1] for name in ("image", *targets))
    if task.residual and 1 < channels < sum(sizes):
        raise ValueError(
            "`residual` must be False for targets of more channels than the image. "
            f"Received: {channels} channels, targets of {sizes}"
        )
    labels = table.output_labels if task.segment else ()
    network = network or regression_network(task, len(shape), sum(sizes), channels, len(labels))
    segmenter, known = _segmenter(task, shape, table, spacing)
    return RegressionModel(
        synthesis,
        network,
        targets,
        task.loss,
        task.balance,
        labels,
        segmenter,
        known,
        task.segmentation_weight,
        task.weights or (),
        name=task.function,
    )


def _segmenter(
    task: RegressionTask, shape: tuple[int, ...], table: LabelTable, spacing: Range
) -> tuple[keras.Model | None, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Give a copy of the trained network of segmentation, its labels, and those that count."""
    if task.segmentation is None:
        return None, ((), ())
    run = as_run(task.segmentation)
    expected = tuple(np.broadcast_to(spacing, len(shape)).tolist())
    fits = len(run.spacing) == len(shape) and np.allclose(run.spacing, expected, rtol=0.01)
    if run.task != "segmentation" or not fits or any(n % run.multiple for n in shape):
        raise ValueError(
            f"`segmentation` must be a run of the task segmentation at {expected} mm, for sizes "
            f"such as {shape}. Received: {run.name}, of the task {run.task} at {run.spacing} mm, "
            f"for multiples of {run.multiple}"
        )
    shared = tuple(v for v in run.output_labels if v and v in table.output_labels)
    if not shared:
        raise ValueError(
            "`segmentation` must be a run that knows an output label of the table, "
            f"{table.output_labels}. Received: {run.name}, which knows {run.output_labels}"
        )
    copy = keras.models.clone_model(run.task_model)
    copy.set_weights(run.task_model.get_weights())
    frozen = keras.Model(copy.input, copy.output, name="segmenter")
    return frozen, (run.output_labels, shared)
