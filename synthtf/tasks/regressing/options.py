"""What can be chosen of a regression of images."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from synthtf.arguments import Limits
from synthtf.networks.sizes import UNetConfig
from synthtf.options import option, options
from synthtf.tasks.task import Task, copied

if TYPE_CHECKING:
    import keras

    from synthtf.runs.run import Run


def _as_weights(value: Any, name: str) -> tuple[float, ...]:
    """Check weights, one per loss."""
    try:
        found = tuple(float(weight) for weight in value)
    except (TypeError, ValueError):
        found = ()
    if not found or not all(0 <= weight < float("inf") for weight in found) or not any(found):
        raise ValueError(
            f"`{name}` must be numbers of at least 0, one above it. Received: {name}={value!r}"
        )
    return found


@options
class RegressionTask(Task):
    """A model that learns to return images, from label maps alone.

    What it returns are the targets that the recipe keeps, in their order: the image before it
    loses its resolution (`KeepImage`), a contrast that is always the same (`RenderContrast`), the
    real scan of the label map (`KeepScan`), a bias field (`KeepGain`), distances to structures
    (`KeepDistance`). `.synthesis` gives images and targets; `.task_model` maps images
    `(batch, *any, 1)` in [0, 1] to `(batch, *any, channels)`, those of the targets and then, with
    `segment`, posteriors; `.targets` are the names, `.output_labels` the labels.

    Example:
    >>> from synthtf.layers import KeepImage, RandomIntensity, RandomResolution
    >>> from synthtf.networks import UNetConfig
    >>> from synthtf.tasks import image_regression
    >>> recipe = [RandomIntensity(), KeepImage(), RandomResolution()]
    >>> network = UNetConfig(features=4, levels=2)
    >>> image_regression((32, 32), [0, 1], recipe=recipe, network=network).targets
    ('clean',)

    Reference: Iglesias et al., SynthSR, Science Advances 2023, with the weight of the
        segmentation; Liu et al., Brain-ID, ECCV 2024.
    """

    name: ClassVar[str] = "regression"
    function: ClassVar[str] = "image_regression"
    summary: ClassVar[str] = "return images: of higher resolution, another contrast, a bias field"
    command: ClassVar[str] = "super-resolve"
    advice: ClassVar[tuple[str, ...]] = (
        "put the step that keeps the target (KeepImage, RenderContrast) before all that the"
        " network shall undo",
        "let the input lose at least as much as real scans lack, in another direction for "
        "each sample",
        "take `residual` where the target is like the input",
    )
    unsuited: ClassVar[tuple[str, ...]] = (
        "findings: what is returned shows what the label maps can hold, and lesions may "
        "vanish or appear",
        "intensities as a measure, such as relaxation times or Hounsfield units",
        "contrast enhancement: no label tells where it is",
    )
    default_recipe: ClassVar[str] = "super-resolution"

    network: UNetConfig = option(
        factory=functools.partial(UNetConfig, 16, 4, max_features=64),
        text="size of the U-Net, or a Keras model to train further",
    )
    loss: Literal["l1", "l2"] = option(
        "l1", "mean absolute (l1) or squared (l2) difference of target and result"
    )
    residual: bool = option(
        False,
        "let the network return what is to be added to its input, for targets like it; to the "
        "first channels of it, where there are more than targets have",
    )
    segment: bool = option(
        False,
        "let the network label voxels, too, by the features from which it makes the images",
    )
    balance: Literal["sum", "magnitude", "uncertainty", "gradients"] = option(
        "sum",
        "how the losses of several outputs add up: as they are, as if they were of one size, each "
        "divided by a scale that is learned, or so that each pulls equally hard at the last "
        "features that they share",
    )
    weights: Annotated[Sequence[float], _as_weights] | None = option(
        None,
        "weight of the loss of each target, in their order, and then of the labels; none for 1 "
        "each; not with balanced gradients",
    )
    segmentation: Any = option(
        None,
        "trained run of the task segmentation, which stays as it is: the labels that it finds in "
        "the first image that is returned shall be those of the label map",
        metavar="RUN",
    )
    segmentation_weight: Annotated[float, Limits(0)] = option(
        0.25, "weight of one minus the soft Dice of these labels"
    )

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.weights is not None and self.balance == "gradients":
            raise ValueError(
                "`weights` must be left out with balanced gradients, which would undo them. "
                f"Received: weights={self.weights}"
            )

    def make_network(self, ndim: int, num_outputs: int) -> "keras.Model":
        """Build the U-Net; its outputs are the targets."""
        from synthtf.tasks.regressing.model import regression_network

        return regression_network(self, ndim, num_outputs)

    def copy_weights(self, run: "Run", target: "Run") -> None:
        """Copy all weights, or, of a network of other outputs, those up to the last features.

        Raises:
            ValueError: if the run has another network.
        """
        from synthtf.networks import trunk_weights

        old, new = run.task_model, target.task_model
        if run.task == self.name and copied(old.weights, new.weights):
            return
        features = trunk_weights(old), trunk_weights(new)
        if not features[0] or not copied(*features):
            raise ValueError(f"{run.name}: has another network than the one to be trained")
