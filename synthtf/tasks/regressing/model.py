"""The model that learns to return images."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from synthtf.data.label_table import LabelTable
from synthtf.networks import unet
from synthtf.ranges import Range
from synthtf.tasks.regressing.options import RegressionTask
from synthtf.training.combined import CombinedModel

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf")
class LearnedScales(layers.Layer):
    """Divide each loss by a scale of its own, and pay for large scales.

    A loss L becomes `L / s + log(s)`: the likelihood of residuals of a Laplace distribution of
    scale s. The targets thus weigh alike, whatever their range.

    Input shape: `(batch, targets)`.
    Output shape: `(batch,)`.

    Reference: Kendall et al., Multi-task learning using uncertainty to weigh losses for scene
        geometry and semantics, CVPR 2018.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Begin with scales of one."""
        self.log_scale = self.add_weight(
            shape=(input_shape[-1],), initializer="zeros", name="log_scale"
        )

    def call(self, losses: Tensor) -> Tensor:
        """Weigh and add up."""
        return ops.sum(losses * ops.exp(-self.log_scale) + self.log_scale, axis=-1)


@keras.saving.register_keras_serializable(package="synthtf")
class RegressionModel(CombinedModel):
    """Synthesis and a network that returns images; see `RegressionTask`, which makes one.

    Args:
        synthesis: model with the output "image" and the targets.
        task_model: from images to one channel per target.
        targets: names of the outputs of `synthesis` to learn, in the order of the channels.
        loss: "l1" or "l2".
        balance: "sum" or "uncertainty".
        **kwargs: arguments of `keras.Model`.
    """

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        targets: Sequence[str],
        loss: str,
        balance: str,
        **kwargs: Any,
    ) -> None:
        self.targets = tuple(targets)
        inputs = {
            name: layers.Input(synthesis.output[name].shape[1:], dtype="float32", name=name)
            for name in ("image", *self.targets)
        }
        join = layers.Concatenate(dtype="float32", name="target")
        kept_parts = [inputs[name] for name in self.targets]
        kept = join(kept_parts) if len(kept_parts) > 1 else kept_parts[0]
        differences = layers.Subtract(dtype="float32", name="difference")(
            [task_model(inputs["image"]), kept]
        )
        size = ops.abs if loss == "l1" else ops.square
        axes = tuple(range(1, len(differences.shape) - 1))
        channels = ops.mean(size(differences), axis=axes)
        ends = np.cumsum([0, *(x.shape[-1] for x in kept_parts)]).tolist()
        each = [channels[:, low:high] for low, high in itertools.pairwise(ends)]
        outputs = {"losses": ops.stack([ops.mean(x, axis=-1) for x in each], axis=-1)}
        if balance == "uncertainty":
            outputs["loss"] = LearnedScales(name="scales")(outputs["losses"])
        network = keras.Model(inputs, outputs, name=task_model.name)
        super().__init__(synthesis, task_model, network, **kwargs)
        self.regression_loss, self.balance = loss, balance
        self.errors = [keras.metrics.Mean(name=f"{name}_{loss}") for name in self.targets]

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Compare what the network makes of the image with the targets."""
        return network({name: samples[name] for name in network.input})

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Add the losses of the targets."""
        if self.balance == "uncertainty":
            return ops.mean(outputs["loss"])
        return ops.mean(ops.sum(outputs["losses"], axis=-1))

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update the loss of each target."""
        for channel, metric in enumerate(self.errors):
            metric.update_state(outputs["losses"][:, channel])

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "targets": self.targets,
            "loss": self.regression_loss,
            "balance": self.balance,
        }


def regression_network(
    task: RegressionTask, ndim: int, num_outputs: int, num_inputs: int = 1
) -> keras.Model:
    """Build the network: a U-Net without a final activation, plus its input for residuals."""
    network = unet(num_outputs, ndim, task.network, final_activation=None, num_inputs=num_inputs)
    if not task.residual:
        return network
    total = layers.Add(dtype="float32", name="residual")([network.output, network.input])
    return keras.Model(network.input, total, name=network.name)


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
        ValueError: if the recipe keeps no target, or they do not fit the option `residual`.
    """
    synthesis = recipe.build(shape, table, spacing)
    targets = recipe.targets
    if not targets:
        raise ValueError(
            "`recipe` must keep what the network shall return, by a step such as KeepImage, "
            f"RenderContrast or KeepGain. Received: recipe={recipe!r}"
        )
    channels, *sizes = (synthesis.output[name].shape[-1] for name in ("image", *targets))
    if task.residual and channels not in (1, sum(sizes)):
        raise ValueError(
            "`residual` must be False for targets of other channels than the image. "
            f"Received: {channels} channels, targets of {sizes}"
        )
    network = network or regression_network(task, len(shape), sum(sizes), channels)
    return RegressionModel(synthesis, network, targets, task.loss, task.balance, name=task.function)
