"""The model that learns to segment by example."""

from typing import Any

import keras
from keras import ops

from synthtf.data.label_table import LabelTable
from synthtf.layers.base import SynthesisLayer
from synthtf.losses import DiceCrossEntropy
from synthtf.metrics import DiceMetric
from synthtf.ranges import Range
from synthtf.synthesis import ALWAYS, NEVER, Views, labels_to_views
from synthtf.synthesis.foreground import ChooseForeground
from synthtf.tasks.in_context.options import InContextTask
from synthtf.training.combined import CombinedModel

Tensor = Any


@keras.saving.register_keras_serializable(package="synthtf")
class InContextModel(CombinedModel):
    """Synthesis of tasks and a network that solves them; see `InContextTask`.

    Args:
        synthesis: model with the outputs "image", "context" and "foreground".
        task_model: from the first two to posteriors of background and foreground.
        **kwargs: arguments of `keras.Model`.
    """

    output_labels = (0, 1)

    def __init__(self, synthesis: keras.Model, task_model: keras.Model, **kwargs: Any) -> None:
        super().__init__(synthesis, task_model, **kwargs)
        self.compare = DiceCrossEntropy(include_background=False)
        self.dice = DiceMetric(["background", "foreground"], name="dice")

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Segment the image."""
        found = network({name: samples[name] for name in ("image", "context")})
        return {"posteriors": found, "foreground": samples["foreground"]}

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Compare with the foreground."""
        target = ops.one_hot(outputs["foreground"][..., 0], 2, dtype="float32")
        return self.compare(target, outputs["posteriors"])

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update the Dice of the foreground."""
        self.dice.update_state(outputs["foreground"], outputs["posteriors"])


def sharing(task: InContextTask) -> Any:
    """Give what the images of a task share, as `Views` takes it.

    Numbers below the share of tasks of other contrasts are those, and those at the other end are
    tasks of other label maps.
    """

    def shared(step: SynthesisLayer) -> Range:
        if "labels" in step.gives:
            one_anatomy = 1 - task.other_anatomy
            return (0.0, one_anatomy) if not step.takes else ALWAYS
        makes_contrast = "maps" in step.gives or "image" in step.gives
        if makes_contrast and "image" not in step.takes:
            return (1 - task.same_contrast, 1.0)
        return NEVER

    return shared


def build(
    task: InContextTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> InContextModel:
    """Build the combined model; see `Task.build`.

    Raises:
        ValueError: if the images have several channels.
    """
    views = Views(1 + max(1, task.context), sharing(task))
    made = labels_to_views(shape, table, recipe, spacing, views)
    images, maps, key = made.output["images"], made.output["maps"], made.input["key"]
    if images.shape[-1] != 1:
        raise ValueError(
            "`recipe` must make images of one channel for a segmentation by example. "
            f"Received: {images.shape[-1]} channels"
        )
    labels = [label for label in table.output_labels if label]
    choose = ChooseForeground(labels, task.several, name="choose_foreground")
    chosen = choose(maps, key=key)
    context = [images[:, 1:], ops.cast(chosen[:, 1:], "float32")]
    context = ops.concatenate(context, axis=-1)
    outputs = {
        "image": made.output["image"],
        "labels": made.output["labels"],
        "context": context if task.context else 0.0 * context,
        "foreground": chosen[:, 0],
    }
    synthesis = keras.Model(made.input, outputs, name="synthesis")
    network = network or task.make_network(len(shape), 2)
    return InContextModel(synthesis, network, name=task.function)
