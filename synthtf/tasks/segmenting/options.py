"""What can be chosen of a segmentation."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from synthtf.arguments import Limits, as_choice
from synthtf.networks.sizes import DetectorConfig, UNetConfig
from synthtf.options import option, options
from synthtf.tasks.task import Task

if TYPE_CHECKING:
    import keras
    import numpy as np

    from synthtf.runs.run import Run

Loss = Literal["dice+cross-entropy", "dice", "cross-entropy", "dice+cldice", "logits-l2"]


def _as_loss(value: Any, name: str) -> Any:
    """Check the name of a loss; a Keras loss is taken as it is."""
    return value if hasattr(value, "get_config") else as_choice(value, name, Loss.__args__)


@options
class SegmentationTask(Task):
    """A model that learns to segment images of any contrast from label maps alone.

    The label table says which label counts as which output label; without one, each label is an
    output label. `.synthesis` gives images and maps of output labels; `.task_model` maps images
    `(batch, *any, 1)` in [0, 1] to posteriors `(batch, *any, len(output_labels))`;
    `.output_labels` are their labels.

    Example:
    >>> from synthtf.networks import UNetConfig
    >>> from synthtf.tasks import segmentation
    >>> model = segmentation((32, 32), labels=[0, 1], network=UNetConfig(features=4, levels=2))
    >>> model.output_labels
    (0, 1)

    Reference: Billot et al., SynthSeg, Medical Image Analysis 2023.
    """

    name: ClassVar[str] = "segmentation"
    function: ClassVar[str] = "segmentation"
    summary: ClassVar[str] = "label each voxel of one image"
    command: ClassVar[str] = "segment"
    advice: ClassVar[tuple[str, ...]] = (
        "label what surrounds the brain, too, or strip it by RandomMask: a scan shows more "
        "than the brain",
        "give each tissue of its own intensity a label of its own, and merge by the column "
        "`output`",
        "train long: the loss on synthetic images falls for tens of thousands of steps; "
        "choose among networks by a few labelled scans, not by that loss",
    )
    unsuited: ClassVar[tuple[str, ...]] = (
        "borders that no contrast shows, such as those between cortical areas",
        "what no label map holds: a tumour or a resection becomes some healthy structure; "
        "draw it into the maps (RandomLesions) first",
    )

    network: UNetConfig = option(
        factory=UNetConfig, text="size of the U-Net, or a Keras model to train further"
    )
    loss: Annotated[Loss, _as_loss] = option(
        "dice+cross-entropy",
        "of one-hot labels and posteriors, in Python also a Keras loss; dice+cldice is for tubes "
        "such as vessels, logits-l2 is SynthSeg's first one",
    )
    warm_up: Annotated[int, Limits(0)] = option(
        0, "epochs on the L2 loss of the logits with which a training begins"
    )

    def make_network(self, ndim: int, num_outputs: int) -> "keras.Model":
        """Build the U-Net."""
        from synthtf.networks import unet

        return unet(num_outputs, ndim, self.network)

    def copy_weights(self, run: "Run", target: "Run") -> None:
        """Copy all weights, those of the classes by their labels; see `Task` for another task.

        A class that the run does not have begins as the mean of the classes that its labels count
        as there, or of all classes if the run knows none of its labels; its logit is log 4 lower,
        so that no voxel is of that class at first. Classes of the run alone are left out. What the
        network to be trained sees besides, such as a second image, has no effect at first.

        Raises:
            ValueError: if the run has another network.
        """
        from synthtf.tasks.registry import tasks
        from synthtf.tasks.segmenting.classes import copy_weights

        if not issubclass(tasks().get(run.task, Task), SegmentationTask):
            super().copy_weights(run, target)
        elif not copy_weights(run, target):
            raise ValueError(f"{run.name}: has another network than the one to be trained")

    def detector_size(self, run: "Run") -> DetectorConfig:
        """Give the size of the network as one whose structures compete for voxels."""
        from synthtf.tasks.segmenting.detector import detector_size

        return detector_size(self.network, run)

    def detector_weights(self, run: "Run") -> "list[np.ndarray]":
        """Give the weights of the network with its classes in a detector's order."""
        from synthtf.tasks.segmenting.detector import detector_weights

        return detector_weights(run)
