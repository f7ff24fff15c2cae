"""What can be chosen of a robust segmentation."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from synthtf.arguments import Limits
from synthtf.networks.sizes import UNetConfig
from synthtf.options import option, options
from synthtf.tasks.denoising.options import DenoisingTask
from synthtf.tasks.segmenting.options import SegmentationTask
from synthtf.tasks.task import Task

if TYPE_CHECKING:
    import keras

    from synthtf.data.label_table import LabelTable
    from synthtf.runs.run import Run


@options
class RobustTask(SegmentationTask):
    """A model that learns to segment images whose tissues are known, if with errors.

    It is the last of three networks that segment poor images: the first one finds the tissues, as
    the column `tissue` of the label table groups the output labels; the second one corrects them,
    see `DenoisingTask`; this one takes the image and, behind it, the one-hot tissues. A training
    into a run folder trains all three, in the folders "tissues", "denoiser" and "regions" of the
    run, for the epochs or minutes of the schedule each, and joins them into one network, a run of
    the task "segmentation".

    Where labels are parts of structures, as the column `part_of` of the table says, the first two
    networks can find these instead of tissues: the last one then divides a cortex into parcels.

    Example:
    >>> from synthtf.networks import UNetConfig
    >>> from synthtf.tasks import robust_segmentation
    >>> small = UNetConfig(features=4, levels=2)
    >>> robust_segmentation((32, 32), labels=[0, 1], network=small).task_model.input_shape[-1]
    3

    Reference: Billot et al., Robust machine learning segmentation for large-scale analysis of
        heterogeneous clinical brain MRI datasets, PNAS 2023.
    """

    name: ClassVar[str] = "robust"
    function: ClassVar[str] = "robust_segmentation"
    summary: ClassVar[str] = (
        "label each voxel of one image, however poor, by way of its tissues: three networks"
    )
    command: ClassVar[str] = "segment"
    advice: ClassVar[tuple[str, ...]] = (
        "take it for clinical scans of thick slices and low contrast; a plain segmentation "
        "is as good elsewhere",
    )
    unsuited: ClassVar[tuple[str, ...]] = (
        "borders that no contrast shows, such as those between cortical areas",
        "anatomy that the label maps do not hold: the denoiser corrects it away",
    )
    has_stages: ClassVar[bool] = True

    errors: Annotated[float, Limits(0, 3)] = option(
        0.3, "size of the errors in the label maps that the network is given; 0 for none"
    )
    by: Literal["tissues", "structures"] = option(
        "tissues",
        "what the first two networks find: tissues, or the structures that labels are parts of, "
        "such as a cortex with parcels",
    )
    tissue_network: UNetConfig | None = option(
        None, "size of the U-Net that finds tissues; none for that of `network`", flag=False
    )
    denoiser: DenoisingTask = option(
        factory=DenoisingTask, text="options of the network that corrects tissues", flag=False
    )

    detector_size = Task.detector_size
    detector_weights = Task.detector_weights

    def make_network(self, ndim: int, num_outputs: int) -> "keras.Model":
        """Build the U-Net, as if each label were a tissue of its own."""
        from synthtf.networks import unet

        return unet(num_outputs, ndim, self.network, num_inputs=1 + num_outputs)

    @property
    def multiple(self) -> int:
        """Number that every size of the images must be a multiple of."""
        sizes = [self.network, self.tissue_network or self.network, self.denoiser.network]
        return math.lcm(*(getattr(size, "multiple", 1) for size in sizes))

    def grouped(self, table: "LabelTable") -> "LabelTable":
        """Give the table of what the first two networks find."""
        from synthtf.data.tissues import structure_table, tissue_table

        return tissue_table(table) if self.by == "tissues" else structure_table(table)

    def stages(self, table: "LabelTable") -> "dict[str, tuple[Task, LabelTable]]":
        """Give the three trainings in their order."""
        tissues = self.grouped(table)
        network = self.tissue_network or self.network
        first = SegmentationTask(network=network, loss=self.loss, warm_up=self.warm_up)
        return {
            "tissues": (first, tissues),
            "denoiser": (self.denoiser, tissues),
            "regions": (self, table),
        }

    def join(self, folder: Path, runs: "Sequence[Run]") -> "Run":
        """Write the three networks as one that segments."""
        from synthtf.networks import chain_networks
        from synthtf.runs.run import Run

        last = runs[-1]
        network = chain_networks(*(run.task_model for run in runs))
        together = {
            name: sum(run.metadata.get(name, 0) for run in runs)
            for name in ("epochs_done", "steps_done", "minutes_done")
        }
        facts = {**last.metadata, **together, "task": SegmentationTask.name, "network": None}
        facts["minutes_done"] = round(facts["minutes_done"], 2)
        joined = Run.create(folder, last.table, last.recipe, facts)
        joined.save_model(network)
        return joined
