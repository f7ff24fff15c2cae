"""What can be chosen of a segmentation by example."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from synthtf.arguments import Limits, Probability
from synthtf.options import Options, option, options
from synthtf.tasks.task import Task

if TYPE_CHECKING:
    import keras


@options
class CrossConfig(Options):
    """Size of a U-Net that sees an image beside each image of its context."""

    features: Annotated[int, Limits(1)] = option(24, "feature maps of all levels")
    levels: Annotated[int, Limits(1)] = option(
        5, "resolution levels; each but the first halves the resolution"
    )
    kernel_size: Annotated[int, Limits(1)] = option(3, "voxels per axis of each convolution kernel")
    activation: str = option("leaky_relu", "name of a Keras activation, after each convolution")

    @property
    def multiple(self) -> int:
        """Number that every spatial size of the input must be a multiple of."""
        return 2 ** (self.levels - 1)


@options
class InContextTask(Task):
    """A model that learns to segment whatever a few pairs of image and label map show.

    Each sample is a task of its own: images of one label map that is moved at random, in one
    contrast or several, or images of several label maps in one contrast; and of their labels one,
    or several, as the foreground. The network has to find it in the first image, and is given it in
    the others, the context. It thus learns nothing of any structure, and can be used on structures
    and contrasts that it has never seen. The label maps may be slices, or shapes alone, with a
    recipe that makes them. `.synthesis` gives "image" and "labels", "context" and "foreground";
    `.task_model` maps "image", `(batch, *any, 1)` in [0, 1], and "context", `(batch, any, *any,
    2)`, to posteriors of background and foreground, `(batch, *any, 2)`.

    Example:
    >>> from synthtf.tasks import in_context_segmentation
    >>> from synthtf.tasks.in_context.options import CrossConfig
    >>> small = CrossConfig(features=4, levels=2)
    >>> model = in_context_segmentation((32, 32), labels=[0, 1, 2], network=small)
    >>> model.task_model.output.shape
    (None, None, None, 2)

    Reference: Butoi et al., UniverSeg: universal medical image segmentation, ICCV 2023; Czolbe and
        Dalca, Neuralizer: general neuroimage analysis without re-training, CVPR 2023.
    """

    name: ClassVar[str] = "in-context"
    function: ClassVar[str] = "in_context_segmentation"
    summary: ClassVar[str] = "segment whatever a few examples show"
    default_recipe: ClassVar[str] = "in-context"
    command: ClassVar[str] = "in-context"
    advice: ClassVar[tuple[str, ...]] = (
        "make tasks as different as you can: shapes, structures and contrasts that no two "
        "tasks share",
        "compare with the same network without context (`--context 0`): the difference is "
        "what the examples say",
    )
    unsuited: ClassVar[tuple[str, ...]] = (
        "structures that the examples show in another plane or at another scale than the image",
        "large sets of labelled scans of one kind: train a segmentation on them",
    )

    network: CrossConfig = option(
        factory=CrossConfig, text="size of the network, or a Keras model to train further"
    )
    context: Annotated[int, Limits(0, 64)] = option(
        4,
        "images of the context in training; it can be of any number later. 0 for one that is "
        "empty: what can be guessed without any",
    )
    same_contrast: Probability = option(
        0.6, "share of tasks whose images are of one contrast; in the others each has its own"
    )
    other_anatomy: Probability = option(
        0.2,
        "share of tasks whose images show label maps that a recipe makes apart; part of those of "
        "one contrast",
    )
    several: Probability = option(
        0.25, "share of tasks whose foreground is several labels instead of one"
    )

    def __post_init__(self) -> None:
        """Check that images of other anatomies have something in common."""
        super().__post_init__()
        if self.other_anatomy > self.same_contrast:
            raise ValueError(
                "`other_anatomy` must be at most `same_contrast`: images of other shapes in other "
                f"contrasts have nothing in common. Received: other_anatomy={self.other_anatomy}, "
                f"same_contrast={self.same_contrast}"
            )

    def make_network(self, ndim: int, num_outputs: int) -> "keras.Model":
        """Build the network; its classes are the background and the foreground."""
        from synthtf.networks import cross_unet

        size = self.network
        return cross_unet(size.features, size.levels, ndim, size.kernel_size, size.activation)
