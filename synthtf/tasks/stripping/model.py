"""The model that learns to find the brain."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import layers, ops

from synthtf.data.label_table import LabelTable
from synthtf.layers import SignedDistance
from synthtf.losses import border_distance_loss
from synthtf.ranges import Range
from synthtf.tasks.stripping.options import BORDERS, StrippingTask
from synthtf.training.combined import CombinedModel

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf")
class StrippingModel(CombinedModel):
    """Synthesis and a network of distances to the brain; see `StrippingTask`, which makes one.

    Two borders are learned at once: that of the brain with the CSF in its sulci and fissures,
    which are what a ball of a few mm does not fit into; and that of its tissue alone.

    Args:
        synthesis: model with the outputs "image" and "labels".
        task_model: from images to two signed distances in mm, in the order of `BORDERS`.
        tissue: label values of the brain.
        csf: label values of the CSF around it, which sulci may consist of. Empty: any.
        spacing: mm per voxel, a scalar or one per axis.
        limit: distances are truncated here, in mm.
        closing: radius of the ball in mm.
        **kwargs: arguments of `keras.Model`.

    Attributes:
        output_labels: 0 and the labels of the brain.
    """

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        tissue: Sequence[int],
        csf: Sequence[int],
        spacing: Range,
        limit: float,
        closing: float,
        **kwargs: Any,
    ) -> None:
        settings = {"spacing": spacing, "limit": limit}
        closed = {"closing": closing, "within": (*tissue, *csf) if csf else None}
        labels = layers.Input(synthesis.output["labels"].shape[1:], dtype="int32", name="labels")
        image = layers.Input(synthesis.output["image"].shape[1:], dtype="float32", name="image")
        targets = [
            SignedDistance(tissue, **settings, **options, name=f"{border}_distance")(labels)
            for border, options in zip(BORDERS, (closed, {}), strict=True)
        ]
        outputs = {
            "distance": task_model(image),
            "target": layers.Concatenate(dtype="float32", name="target")(targets),
        }
        network = keras.Model({"image": image, "labels": labels}, outputs, name=task_model.name)
        super().__init__(synthesis, task_model, network, **kwargs)
        self.tissue, self.csf = tuple(map(int, tissue)), tuple(map(int, csf))
        self.output_labels = (0, *self.tissue)
        self.spacing, self.limit, self.closing = spacing, float(limit), float(closing)
        self.dice = keras.metrics.Mean("dice", "float32")

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Measure distances in the synthetic image, and in its labels."""
        return network({name: samples[name] for name in ("image", "labels")})

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Compare distances, above all those near the border."""
        return border_distance_loss(outputs["target"], outputs["distance"])

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update the Dice of the two masks."""
        truth, found = (ops.cast(outputs[n] < 0, "float32") for n in ("target", "distance"))
        axes = tuple(range(1, len(truth.shape) - 1))
        total = ops.sum(truth, axes) + ops.sum(found, axes)
        dice = 2 * ops.sum(truth * found, axes) / ops.maximum(total, 1.0)
        self.dice.update_state(ops.where(total > 0, dice, 1.0))

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "tissue": self.tissue,
            "csf": self.csf,
            "spacing": self.spacing,
            "limit": self.limit,
            "closing": self.closing,
        }


def build(
    task: StrippingTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> StrippingModel:
    """Build the combined model; see `Task.build`.

    Raises:
        ValueError: if the table lists no label of the brain.
    """
    brain, csf = table.brain_labels, table.csf_labels
    if not brain:
        raise ValueError("`labels` must be a label table with labels of the brain; it lists none")
    # All of the brain counts as its first label, all of the CSF as its own.
    merged = {**dict.fromkeys(brain, brain[0]), **dict.fromkeys(csf, csf[0] if csf else 0)}
    table = replace(table, outputs=tuple(merged.get(label, 0) for label in table.ids))
    synthesis = recipe.build(shape, table, spacing)
    network = network or task.make_network(len(shape), len(BORDERS))
    return StrippingModel(
        synthesis,
        network,
        brain[:1],
        csf[:1],
        spacing,
        task.limit,
        task.closing,
        name=task.function,
    )
