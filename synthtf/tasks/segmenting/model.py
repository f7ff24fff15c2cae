"""The model that learns to segment."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf.data.label_table import LabelTable
from synthtf.losses import DiceCentreLine, DiceCrossEntropy, LogitsL2, SoftDice
from synthtf.metrics import DiceMetric
from synthtf.networks import unet, with_logits
from synthtf.ops.labels import label_index, label_shares
from synthtf.ranges import Range
from synthtf.synthesis import FINE_LABELS
from synthtf.tasks.segmenting.options import SegmentationTask
from synthtf.training.combined import CombinedModel

Tensor = Any

LOSSES = {
    "dice": SoftDice,
    "dice+cross-entropy": DiceCrossEntropy,
    "cross-entropy": functools.partial(keras.losses.CategoricalCrossentropy, dtype="float32"),
    "dice+cldice": DiceCentreLine,
    "logits-l2": LogitsL2,
}


@keras.saving.register_keras_serializable(package="synthtf")
class SegmentationModel(CombinedModel):
    """Synthesis and a segmentation network; see `SegmentationTask`, which makes one.

    Args:
        synthesis: model with the outputs "image" and "labels"; with "fine_labels", too, the target
            is the share that each label has of a voxel.
        task_model: from images to posteriors, one channel per output label; the layer whose
            softmax they are is called "logits".
        output_labels: label value of each channel, ascending, 0 first.
        loss: loss of one-hot labels and posteriors; a `LogitsL2` is given the logits.
        warm_up: epochs on SynthSeg's L2 loss of the logits with which a training begins.
        **kwargs: arguments of `keras.Model`.
    """

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        output_labels: Sequence[int],
        loss: keras.losses.Loss,
        warm_up: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(synthesis, task_model, with_logits(task_model), **kwargs)
        self.output_labels = tuple(int(v) for v in output_labels)
        self.segmentation_loss = loss
        self.warm_up = warm_up
        self.dice = DiceMetric([str(v) for v in self.output_labels], name="dice")

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Segment the synthetic image."""
        kept = {name: samples[name] for name in ("labels", FINE_LABELS) if name in samples}
        return {**network(samples["image"]), **kept}

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Compare posteriors, or for `LogitsL2` logits, with one-hot labels or shares of them."""
        target = self._target(outputs)
        loss = LogitsL2() if self.warming_up else self.segmentation_loss
        return loss(target, outputs["logits" if isinstance(loss, LogitsL2) else "posteriors"])

    def _target(self, outputs: dict[str, Tensor]) -> Tensor:
        number, labels = len(self.output_labels), outputs["labels"]
        if FINE_LABELS not in outputs:
            index = label_index(labels[..., 0], self.output_labels)
            return ops.one_hot(index, number, dtype="float32")
        fine = outputs[FINE_LABELS]
        index = label_index(fine[..., 0], self.output_labels)
        return label_shares(index, number, fine.shape[1] // labels.shape[1])

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update the Dice of the structures."""
        index = label_index(outputs["labels"], self.output_labels)
        self.dice.update_state(index, outputs["posteriors"])

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "output_labels": self.output_labels,
            "loss": keras.saving.serialize_keras_object(self.segmentation_loss),
            "warm_up": self.warm_up,
        }


def build(
    task: SegmentationTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> SegmentationModel:
    """Build the combined model; see `Task.build`."""
    synthesis = recipe.build(shape, table, spacing)
    labels = table.output_labels
    if network is None:
        options = {
            "num_inputs": synthesis.output["image"].shape[-1],
            "pairs": channel_pairs(table),
        }
        network = unet(len(labels), len(shape), task.network, **options)
    loss = make_loss(task.loss, table)
    return SegmentationModel(synthesis, network, labels, loss, task.warm_up, name=task.function)


def make_loss(loss: str | keras.losses.Loss, table: LabelTable) -> keras.losses.Loss:
    """Make the loss of a name, with the weights of a label table.

    Raises:
        ValueError: if labels have weights, and the loss knows none.
    """
    if isinstance(loss, keras.losses.Loss) or set(table.output_weights) == {1}:
        return loss if isinstance(loss, keras.losses.Loss) else LOSSES[loss]()
    if "dice" not in loss:
        raise ValueError(
            f"the loss {loss} knows no weights of labels; take one with Dice, or leave the column "
            "`weight` of the label table out"
        )
    return LOSSES[loss](class_weights=table.output_weights)


def channel_pairs(table: LabelTable) -> list[tuple[int, int]]:
    """Output channels of the left-right pairs."""
    channel = table.output_labels.index
    return [(channel(left), channel(right)) for left, right in table.output_pairs]
