"""What can be chosen of a network of features."""

import functools
from typing import TYPE_CHECKING, Annotated, ClassVar

from synthtf.arguments import Limits
from synthtf.networks.sizes import UNetConfig
from synthtf.options import option, options
from synthtf.tasks.task import Task

if TYPE_CHECKING:
    import keras


@options
class ContrastiveTask(Task):
    """A model that learns features of voxels that do not depend on the contrast.

    Each sample is one anatomy in two contrasts, by two draws of all steps of the recipe that leave
    the label map alone. Features of voxels of one label are drawn together, in one image and
    between the two, and those of different labels apart. The label maps may be brains, or shapes
    alone, with a recipe that makes them, such as "anatomix". `.synthesis` gives the two images,
    "image" and "other", the labels, and the "voxels" that are compared; `.task_model` maps images
    `(batch, *any, 1)` in [0, 1] to features `(batch, *any, embedding)` of length 1.

    Example:
    >>> from synthtf.networks import UNetConfig
    >>> from synthtf.tasks import voxel_features
    >>> model = voxel_features((32, 32), labels=[0, 1], network=UNetConfig(features=4, levels=2))
    >>> model.task_model.output.shape
    (None, None, None, 16)

    Reference: Dey et al., Learning general-purpose biomedical volume representations using
        randomized synthesis, ICLR 2025; Liu et al., Brain-ID, ECCV 2024; Khosla et al., Supervised
        contrastive learning, NeurIPS 2020.
    """

    name: ClassVar[str] = "contrastive"
    function: ClassVar[str] = "voxel_features"
    summary: ClassVar[str] = "give each voxel features that do not depend on the contrast"
    command: ClassVar[str] = "features"
    advice: ClassVar[tuple[str, ...]] = (
        "begin with shapes alone (recipe anatomix): features of brains are learnt from "
        "brains, those of shapes serve any anatomy",
        "judge features by what is trained from them with few label maps (`--start`), not by "
        "the loss",
    )
    unsuited: ClassVar[tuple[str, ...]] = (
        "what distinguishes two contrasts of one anatomy, such as a lesion seen in FLAIR "
        "alone: that is what features forget",
    )

    network: UNetConfig = option(
        factory=functools.partial(UNetConfig, 16, 4, max_features=64),
        text="size of the U-Net, or a Keras model to train further",
    )
    embedding: Annotated[int, Limits(2)] = option(16, "numbers that the network gives each voxel")
    voxels: Annotated[int, Limits(2)] = option(
        256, "voxels of each of the two images that are compared, about as many of each label"
    )
    temperature: Annotated[float, Limits(1e-3, 10)] = option(
        0.1, "of the softmax over similarities; low values look at the hardest voxels alone"
    )

    def make_network(self, ndim: int, num_outputs: int) -> "keras.Model":
        """Build the U-Net; its outputs are features of length 1."""
        from synthtf.tasks.contrasting.model import feature_network

        return feature_network(self, ndim)
