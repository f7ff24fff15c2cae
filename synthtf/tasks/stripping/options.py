"""What can be chosen of skull-stripping."""

import functools
from typing import TYPE_CHECKING, Annotated, ClassVar

from synthtf.arguments import Limits
from synthtf.networks.sizes import UNetConfig
from synthtf.options import option, options
from synthtf.tasks.task import Task

if TYPE_CHECKING:
    import keras


BORDERS = ("brain", "tissue")
"""What each channel of the network measures the distance to; see `StrippingModel`."""


@options
class StrippingTask(Task):
    """A model that learns to find the brain in images of any contrast from label maps alone.

    The label table says which labels are of the brain and which are CSF around it; without one, all
    labels but 0 are of the brain. `.synthesis` gives images and label maps; `.task_model` maps
    images `(batch, *any, 1)` in [0, 1] to signed distances `(batch, *any, 2)` in mm, negative
    within: to the border of the brain with the CSF in its sulci, and to that of its tissue. The
    network has two levels fewer than SynthStrip's, which takes volumes of a multiple of 64 voxels.

    Example:
    >>> from synthtf.networks import UNetConfig
    >>> from synthtf.tasks import skull_stripping
    >>> model = skull_stripping((32, 32), labels=[0, 1], network=UNetConfig(features=4, levels=2))
    >>> model.task_model.output.shape
    (None, None, None, 2)

    Reference: Hoopes et al., SynthStrip: skull-stripping for any brain image, NeuroImage 2022.
    """

    name: ClassVar[str] = "stripping"
    function: ClassVar[str] = "skull_stripping"
    summary: ClassVar[str] = "find the brain in an image"
    command: ClassVar[str] = "strip"
    advice: ClassVar[tuple[str, ...]] = (
        "take label maps of whole heads, with CSF in a class of its own (`csf` in the "
        "column `brain`)",
        "draw the field of view and RandomMask widely: scans are cut off, and some are "
        "stripped already",
    )
    unsuited: ClassVar[tuple[str, ...]] = (
        "heads that lack a part of the brain or hold what is none, unless the label maps do, too",
    )
    needs_brain: ClassVar[bool] = True

    network: UNetConfig = option(
        factory=functools.partial(UNetConfig, 16, 5, max_features=64, activation="leaky_relu"),
        text="size of the U-Net, or a Keras model to train further",
    )
    limit: Annotated[float, Limits(1e-3, unit="mm")] = option(10.0, "largest distance to learn, mm")
    closing: Annotated[float, Limits(0, unit="mm")] = option(
        5.0, "radius of the ball that closes sulci, mm"
    )

    def make_network(self, ndim: int, num_outputs: int) -> "keras.Model":
        """Build the U-Net; its outputs are the distances to the borders."""
        from synthtf.networks import unet

        return unet(len(BORDERS), ndim, self.network, final_activation=None)
