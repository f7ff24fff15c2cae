"""Contrast-agnostic segmentation."""

import os
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf.data.label_table import LabelTable
from synthtf.losses import DiceCrossEntropy, LogitsL2, SoftDice
from synthtf.metrics import DiceMetric
from synthtf.networks import UNetConfig, unet, with_logits
from synthtf.ops.labels import label_index
from synthtf.ranges import Range
from synthtf.synthesis import Recipe
from synthtf.tasks.combined import CombinedModel

Tensor = Any

LOSSES = {
    "dice": SoftDice,
    "dice+cross-entropy": DiceCrossEntropy,
    "cross-entropy": keras.losses.CategoricalCrossentropy,
    "logits-l2": LogitsL2,
}


@keras.saving.register_keras_serializable(package="synthtf")
class SegmentationModel(CombinedModel):
    """Synthesis and a segmentation network; see `segmentation`, which makes one.

    Args:
        synthesis: model with the outputs "image" and "labels".
        task_model: from images to posteriors, one channel per output label; the layer whose
            softmax they are is called "logits".
        output_labels: label value of each channel, ascending, 0 first.
        loss: of one-hot labels and posteriors; a `LogitsL2` is given the logits.
        **kwargs: of `keras.Model`.

    Attributes:
        warming_up: train on SynthSeg's L2 loss of the logits instead; set before `compile`.
    """

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        output_labels: Sequence[int],
        loss: keras.losses.Loss | str = "dice+cross-entropy",
        **kwargs: Any,
    ) -> None:
        super().__init__(synthesis, task_model, with_logits(task_model), **kwargs)
        self.output_labels = tuple(int(v) for v in output_labels)
        self.segmentation_loss = get_loss(loss)
        self.warming_up = False
        self.dice = DiceMetric([str(v) for v in self.output_labels], name="dice")

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Segment the synthetic image."""
        return {**network(samples["image"]), "labels": samples["labels"]}

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Compare posteriors, or for `LogitsL2` logits, with one-hot labels."""
        index = label_index(outputs["labels"][..., 0], self.output_labels)
        target = ops.one_hot(index, len(self.output_labels), dtype="float32")
        loss = LogitsL2() if self.warming_up else self.segmentation_loss
        return loss(target, outputs["logits" if isinstance(loss, LogitsL2) else "posteriors"])

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
        }


def segmentation(
    shape: Sequence[int],
    labels: Sequence[int] | LabelTable | str | os.PathLike,
    spacing: Range = 1.0,
    config: Recipe | Sequence | str | os.PathLike = "heads",
    network: UNetConfig | keras.Model | None = None,
    loss: keras.losses.Loss | str = "dice+cross-entropy",
) -> SegmentationModel:
    """Build a model that learns to segment images of any contrast from label maps alone.

    Args:
        shape: spatial shape of the synthetic images, two or three axes.
        labels: label values that occur, each an output label, or a label table or its path; the
            table says which label counts as which output label.
        spacing: mm per voxel, a scalar or one per axis.
        config: a recipe, its layers, its name, or its path.
        network: size of the U-Net, or a task network to train further. None: SynthSeg's size.
        loss: "dice+cross-entropy", "dice", "cross-entropy", "logits-l2" (SynthSeg's warm-up), or a
            Keras loss of one-hot labels and posteriors.

    Returns:
        Keras model that fits on `synthtf.data.LabelMaps`. `.synthesis` gives images and label
        maps of output labels; `.task_model` maps images `(batch, *any, 1)` in [0, 1] to
        posteriors `(batch, *any, len(output_labels))`; `.output_labels` are their labels.

    Raises:
        ValueError: if the shape is not a multiple of what the network needs, or an
            argument is out of range.

    Example:
    >>> model = segmentation((32, 32), labels=[0, 1], network=UNetConfig(features=4, levels=2))
    >>> model.output_labels
    (0, 1)

    Reference: Billot et al., SynthSeg, Medical Image Analysis 2023.
    """
    table = LabelTable.of(labels)
    synthesis = Recipe.of(config).build(shape, table, spacing)
    if not isinstance(network, keras.Model):
        network = network or UNetConfig()
        if any(n % network.multiple for n in shape):
            raise ValueError(
                f"`shape` must be a multiple of {network.multiple} along each axis for a network "
                f"of {network.levels} levels. Received: shape={tuple(shape)}"
            )
        network = unet(len(table.output_labels), len(shape), network, pairs=_channel_pairs(table))
    return SegmentationModel(synthesis, network, table.output_labels, loss, name="segmentation")


def _channel_pairs(table: LabelTable) -> list[tuple[int, int]]:
    """Output channels of the left-right pairs."""
    channel = table.output_labels.index
    return [(channel(left), channel(right)) for left, right in table.output_pairs]


def get_loss(loss: keras.losses.Loss | str) -> keras.losses.Loss:
    """Give a loss by name.

    Raises:
        ValueError: if the name is none of `LOSSES`.
    """
    if isinstance(loss, keras.losses.Loss):
        return loss
    if loss not in LOSSES:
        raise ValueError(f"`loss` must be one of {tuple(LOSSES)}. Received: loss={loss!r}")
    return LOSSES[loss]()
