"""What can be chosen of a regression of images."""

import functools
from typing import TYPE_CHECKING, ClassVar, Literal

from synthtf.networks.sizes import UNetConfig
from synthtf.options import option, options
from synthtf.tasks.task import Task

if TYPE_CHECKING:
    import keras


@options
class RegressionTask(Task):
    """A model that learns to return images, from label maps alone.

    What it returns are the targets that the recipe keeps, a channel each in their order: the image
    before it loses its resolution (`KeepImage`), a contrast that is always the same
    (`RenderContrast`), a bias field (`KeepGain`). `.synthesis` gives images and targets;
    `.task_model` maps images `(batch, *any, 1)` in [0, 1] to `(batch, *any, targets)`; `.targets`
    are their names.

    Example:
    >>> from synthtf.layers import KeepImage, RandomIntensity, RandomResolution
    >>> from synthtf.networks import UNetConfig
    >>> from synthtf.tasks import image_regression
    >>> recipe = [RandomIntensity(), KeepImage(), RandomResolution()]
    >>> network = UNetConfig(features=4, levels=2)
    >>> image_regression((32, 32), [0, 1], recipe=recipe, network=network).targets
    ('clean',)

    Reference: Iglesias et al., SynthSR, Science Advances 2023; Liu et al., Brain-ID, ECCV 2024.
    """

    name: ClassVar[str] = "regression"
    function: ClassVar[str] = "image_regression"
    summary: ClassVar[str] = "return images: of higher resolution, another contrast, a bias field"
    default_recipe: ClassVar[str] = "super-resolution"

    network: UNetConfig = option(
        factory=functools.partial(UNetConfig, 16, 4, max_features=64),
        text="size of the U-Net, or a Keras model to train further",
    )
    loss: Literal["l1", "l2"] = option(
        "l1", "mean absolute (l1) or squared (l2) difference of target and result"
    )
    residual: bool = option(
        False, "let the network return what is to be added to its input, for targets like it"
    )
    balance: Literal["sum", "uncertainty"] = option(
        "sum",
        "how the losses of several targets add up: as they are, or each divided by a scale that is "
        "learned",
    )

    def make_network(self, ndim: int, num_outputs: int) -> "keras.Model":
        """Build the U-Net; its outputs are the targets."""
        from synthtf.tasks.regressing.model import regression_network

        return regression_network(self, ndim, num_outputs)
