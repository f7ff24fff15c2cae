"""What can be chosen of a denoiser of label maps."""

import functools
from typing import TYPE_CHECKING, Annotated, ClassVar

from synthtf.arguments import Limits
from synthtf.networks.sizes import UNetConfig
from synthtf.options import option, options
from synthtf.tasks.segmenting.options import SegmentationTask
from synthtf.tasks.task import Task

if TYPE_CHECKING:
    import keras


@options
class DenoisingTask(SegmentationTask):
    """A model that learns to correct the errors of a network in a label map.

    It sees what the label table has as output labels, with errors made up: borders that are moved,
    low resolution, patches that change places, islands of another label. `.synthesis` gives the
    one-hot maps with errors, "corrupted", and without, "labels"; the image is a picture of the
    former. `.task_model` maps one-hot maps `(batch, *any, len(output_labels))` to posteriors of the
    same shape.

    Example:
    >>> from synthtf.networks import UNetConfig
    >>> from synthtf.tasks import label_denoising
    >>> model = label_denoising((32, 32), labels=[0, 1], network=UNetConfig(features=4, levels=2))
    >>> model.task_model.input_shape[-1]
    2

    Reference: Billot et al., Robust machine learning segmentation for large-scale analysis of
        heterogeneous clinical brain MRI datasets, PNAS 2023.
    """

    name: ClassVar[str] = "denoising"
    function: ClassVar[str] = "label_denoising"
    summary: ClassVar[str] = "correct the errors of another network in a label map"
    command: ClassVar[str] = "segment"
    advice: ClassVar[tuple[str, ...]] = (
        "train on the label maps that the segmentation was trained on; the errors are made up",
    )
    unsuited: ClassVar[tuple[str, ...]] = (
        "anatomy that the label maps do not hold: it is corrected away",
    )

    network: UNetConfig = option(
        factory=functools.partial(
            UNetConfig, 16, 5, max_features=64, kernel_size=5, without_skips=2
        ),
        text="size of the U-Net, or a Keras model to train further",
    )
    errors: Annotated[float, Limits(0, 3)] = option(
        1.0, "size of the errors in the label maps that the network is given; 0 for none"
    )

    detector_size = Task.detector_size
    detector_weights = Task.detector_weights

    def make_network(self, ndim: int, num_outputs: int) -> "keras.Model":
        """Build the U-Net, which takes as many channels as it gives."""
        from synthtf.networks import unet

        return unet(num_outputs, ndim, self.network, num_inputs=num_outputs)
