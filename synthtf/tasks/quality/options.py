"""What can be chosen of a judge of segmentations or images."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from synthtf.arguments import Limits
from synthtf.options import Options, option, options
from synthtf.tasks.task import Task

if TYPE_CHECKING:
    import keras


@options
class JudgeConfig(Options):
    """Size of a network that judges segmentations or images."""

    features: Annotated[int, Limits(1)] = option(24, "feature maps of the first level")
    levels: Annotated[int, Limits(1)] = option(
        4, "resolution levels, each with twice the feature maps of the one before"
    )
    kernel_size: Annotated[int, Limits(1)] = option(5, "voxels per axis of each convolution kernel")

    multiple: ClassVar[int] = 1

    @property
    def level_features(self) -> tuple[int, ...]:
        """Feature maps of each level."""
        return tuple(self.features * 2**level for level in range(self.levels))


@options
class QualityTask(Task):
    """A model that learns to tell how good an image is, or a segmentation, from it alone.

    Where the recipe keeps draws (`KeepDraw`), it learns these, from the image: how strong the noise
    is, the motion, the bias field. `.synthesis` gives images and "quality", the numbers that were
    drawn; `.task_model` maps images `(batch, *any, 1)` in [0, 1] to them. Their errors are divided
    by the largest values that can be drawn, so that all count alike.

    Else a trained network segments synthetic images, and many are spoilt beyond use before; without
    a network, the errors in the segmentations are made up as for a denoiser. What is learned is the
    Dice overlap with the labels that the image was made from, for each tissue of the label table.
    `.synthesis` gives one-hot tissues as segmented, "groups", and as they are, "truth", and
    "quality", the Dice; `.task_model` maps "groups", `(batch, *any, tissues)`, to the Dice of all
    tissues but the background; `.output_labels` are the least labels of these tissues.

    Example:
    >>> from synthtf.tasks import segmentation_quality
    >>> from synthtf.tasks.quality.options import JudgeConfig
    >>> small = JudgeConfig(features=4, levels=2)
    >>> segmentation_quality((32, 32), labels=[0, 1, 2], network=small).output_labels
    (1, 2)

    Reference: Billot et al., Robust machine learning segmentation for large-scale analysis of
        heterogeneous clinical brain MRI datasets, PNAS 2023.
    """

    name: ClassVar[str] = "quality"
    function: ClassVar[str] = "segmentation_quality"
    summary: ClassVar[str] = "tell how good an image is, or a segmentation"
    command: ClassVar[str] = "quality"
    advice: ClassVar[tuple[str, ...]] = (
        "to judge images, keep each draw by a step KeepDraw and bring the image to [0, 1] "
        "(MinMaxNormalize) before noise is added: a strength is one beside the range of "
        "intensities",
        "to judge segmentations, give the network whose segmentations they are as the `segmenter`",
    )
    unsuited: ClassVar[tuple[str, ...]] = (
        "whether a radiologist would accept a scan: what is told is how strong each effect is",
        "effects that the recipe does not draw",
    )

    network: JudgeConfig = option(
        factory=JudgeConfig, text="size of the network, or a Keras model to train further"
    )
    segmenter: Any = option(
        None,
        "trained run whose segmentations are judged, which stays as it is; none for errors that "
        "are made up, or to judge images",
        metavar="RUN",
    )
    damage: Annotated[float, Limits(0, 3)] = option(
        1.0,
        "how far images are spoilt for the segmenter, or label maps without one; 0 for images "
        "as the recipe makes them",
    )

    @property
    def multiple(self) -> int:
        """Number that every size of the images must be a multiple of."""
        if self.segmenter is None:
            return 1
        from synthtf.runs.run import as_run

        return as_run(self.segmenter).multiple

    def make_network(self, ndim: int, num_outputs: int) -> "keras.Model":
        """Build the network, as if each label were a tissue of its own."""
        from synthtf.networks import quality_encoder

        size = self.network
        return quality_encoder(
            num_outputs, max(num_outputs - 1, 1), size.level_features, size.kernel_size, ndim=ndim
        )
