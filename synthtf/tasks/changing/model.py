"""The model that learns to find changes."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from synthtf.data.label_table import LabelTable
from synthtf.networks import unet
from synthtf.ops.labels import label_index
from synthtf.ranges import Range
from synthtf.synthesis import labels_to_visits, region_outputs
from synthtf.tasks.changing.options import ChangeTask
from synthtf.tasks.segmenting.model import SegmentationModel, channel_pairs, make_loss

Tensor = Any

_SMALL = 10  # voxels by which a region counts as larger, so that one voxel weighs little


@keras.saving.register_keras_serializable(package="synthtf")
class ChangeModel(SegmentationModel):
    """Two visits, and a network that labels each beside the other; see `ChangeTask`.

    Args:
        *args: as for `SegmentationModel`; the synthesis as from `labels_to_visits`, the network
            from a scan and the other one to posteriors of the former.
        regions: output labels of each region.
        change_weight: weight of the error of the change.
        **kwargs: as for `SegmentationModel`.
    """

    def __init__(
        self,
        *args: Any,
        regions: Sequence[Sequence[int]] = (),
        change_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.regions = tuple(tuple(int(label) for label in region) for region in regions)
        self.change_weight = change_weight
        self.facts = {"region_labels": [list(region) for region in self.regions]}
        self._members = np.array(
            [[label in region for region in self.regions] for label in self.output_labels],
            "float32",
        )
        self.error = keras.metrics.Mean(name="change")

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Label each visit beside the other: the visits become samples of one batch."""
        images = samples["image"]
        swapped = ops.stack([images[..., 1], images[..., 0]], axis=-1)
        labels = ops.concatenate([samples["labels"], samples["later_labels"]], axis=0)
        return {**network(ops.concatenate([images, swapped], axis=0)), "labels": labels}

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Compare the labels of both visits, and the changes of the regions."""
        loss = super().objective(outputs)
        return loss + self.change_weight * ops.mean(self._change_error(outputs))

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update the Dice of the structures, and the error of the change."""
        super().update_metrics(outputs)
        self.error.update_state(self._change_error(outputs))

    def _change_error(self, outputs: dict[str, Tensor]) -> Tensor:
        """Squared error of the change over the volume of the region, `(batch, regions)`."""
        index = label_index(outputs["labels"][..., 0], self.output_labels)
        target = ops.one_hot(index, len(self.output_labels), dtype="float32")
        true, found = (
            ops.matmul(ops.cast(x, "float32"), self._members)
            for x in (target, outputs["posteriors"])
        )
        axes = tuple(range(1, len(true.shape) - 1))
        (first, second), (before, after) = (ops.split(x, 2, axis=0) for x in (true, found))
        error = ops.sum(ops.square((after - before) - (second - first)), axes)
        return error / (ops.sum(first + second, axes) / 2 + _SMALL)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        own = {"regions": self.regions, "change_weight": self.change_weight}
        return {**super().get_config(), **own}


def build(
    task: ChangeTask,
    shape: tuple[int, ...],
    table: LabelTable,
    spacing: Range,
    recipe: Any,
    network: keras.Model | None,
) -> ChangeModel:
    """Build the combined model; see `Task.build`."""
    regions = region_outputs(task.regions, table, shape, spacing)
    synthesis = labels_to_visits(
        shape,
        table,
        recipe,
        spacing,
        regions=task.regions,
        between=task.between,
        same_contrast=task.same_contrast,
    )
    labels = table.output_labels
    network = network or unet(
        len(labels), len(shape), task.network, num_inputs=2, pairs=channel_pairs(table)
    )
    return ChangeModel(
        synthesis,
        network,
        labels,
        make_loss(task.loss, table),
        task.warm_up,
        regions=regions,
        change_weight=task.change_weight,
        name=task.function,
    )
