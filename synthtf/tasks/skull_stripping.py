"""Contrast-agnostic skull-stripping."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import layers, ops

from synthtf.data.label_table import LabelTable
from synthtf.layers import SignedDistance
from synthtf.losses import border_distance_loss
from synthtf.networks import UNetConfig, unet
from synthtf.ranges import Range
from synthtf.synthesis import Recipe
from synthtf.tasks.combined import CombinedModel

Tensor = Any

BORDERS = ("brain", "tissue")
"""What each channel of the network measures the distance to; see `StrippingModel`."""

LIMIT = 10.0
CLOSING = 5.0


@keras.saving.register_keras_serializable(package="synthtf")
class StrippingModel(CombinedModel):
    """Synthesis and a network of distances to the brain; see `skull_stripping`, which makes one.

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
        **kwargs: of `keras.Model`.

    Attributes:
        output_labels: 0 and the labels of the brain.
    """

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        tissue: Sequence[int],
        csf: Sequence[int] = (),
        spacing: Range = 1.0,
        limit: float = LIMIT,
        closing: float = CLOSING,
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
        self.dice = keras.metrics.Mean(name="dice")

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Measure distances in the synthetic image, and in its labels."""
        return network({name: samples[name] for name in ("image", "labels")})

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Compare distances, above all those near the border."""
        return ops.mean(border_distance_loss(outputs["target"], outputs["distance"]))

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


def skull_stripping(
    shape: Sequence[int],
    labels: Sequence[int] | LabelTable | str | os.PathLike,
    spacing: Range = 1.0,
    config: Recipe | Sequence | str | os.PathLike = "heads",
    network: UNetConfig | keras.Model | None = None,
    limit: float = LIMIT,
    closing: float = CLOSING,
) -> StrippingModel:
    """Build a model that learns to find the brain in images of any contrast from label maps alone.

    Args:
        shape: spatial shape of the synthetic images, two or three axes.
        labels: label values that occur, all of the brain, or a label table or its path; the table
            says which are of the brain and which are CSF around it.
        spacing: mm per voxel, a scalar or one per axis.
        config: a recipe, its layers, its name, or its path.
        network: size of the U-Net, or a task network to train further. None:
            `stripping_network()`, two levels fewer than SynthStrip's.
        limit: largest distance to learn, in mm.
        closing: radius in mm of the ball that closes sulci; see `StrippingModel`.

    Returns:
        Keras model that fits on `synthtf.data.LabelMaps`. `.synthesis` gives images and label
        maps; `.task_model` maps images `(batch, *any, 1)` in [0, 1] to signed distances
        `(batch, *any, 2)` in mm, negative within: to the border of the brain with the CSF in its
        sulci, and to that of its tissue.

    Raises:
        ValueError: if the table has no label of the brain, the shape is not a multiple of what
            the network needs, or an argument is out of range.

    Example:
    >>> model = skull_stripping((32, 32), labels=[0, 1], network=UNetConfig(features=4, levels=2))
    >>> model.task_model.output.shape
    (None, None, None, 2)

    Reference: Hoopes et al., SynthStrip: skull-stripping for any brain image, NeuroImage 2022.
    """
    table = LabelTable.of(labels)
    brain, csf = table.brain_labels, table.csf_labels
    if not brain:
        raise ValueError("expected a label table with labels of the brain; it lists none")
    # All of the brain counts as its first label, all of the CSF as its own.
    merged = {**dict.fromkeys(brain, brain[0]), **dict.fromkeys(csf, csf[0] if csf else 0)}
    table = replace(table, outputs=tuple(merged.get(label, 0) for label in table.ids))
    synthesis = Recipe.of(config).build(shape, table, spacing)
    if not isinstance(network, keras.Model):
        network = network or stripping_network()
        if any(n % network.multiple for n in shape):
            raise ValueError(
                f"`shape` must be a multiple of {network.multiple} along each axis for a network "
                f"of {network.levels} levels. Received: shape={tuple(shape)}"
            )
        network = unet(len(BORDERS), len(shape), network, final_activation=None)
    return StrippingModel(
        synthesis, network, brain[:1], csf[:1], spacing, limit, closing, name="skull_stripping"
    )


def stripping_network(features: int = 16, levels: int = 5) -> UNetConfig:
    """Give a U-Net of some width, with no more than four times as many features on any level.

    SynthStrip's has 16 features, too, and 7 levels, which take volumes of a multiple of 64 voxels.

    Args:
        features: of the first level.
        levels: of resolution.
    """
    return UNetConfig(features, levels, max_features=4 * features, activation="leaky_relu")
