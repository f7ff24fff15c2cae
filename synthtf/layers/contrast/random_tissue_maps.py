"""Random maps of proton density and relaxation times."""

from collections.abc import Sequence
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops

from synthtf import random
from synthtf.label_arguments import DistinctLabels, Sharing, check_one_per_label
from synthtf.layers.base import RandomLayer, Tensor, as_labels
from synthtf.layers.contrast.tissues import PARAMETERS, tissue_ranges
from synthtf.layers.scene import Scene
from synthtf.ops.labels import look_up
from synthtf.ranges import Range


def as_tissues(values: Any, name: str) -> tuple:
    """Check tissues: each a name, or four ranges, see `tissue_ranges`."""
    return tuple(value if isinstance(value, str) else tissue_ranges(value) for value in values)


@keras.saving.register_keras_serializable(package="synthtf")
class RandomTissueMaps(RandomLayer):
    """Give every label the proton density and relaxation times of its tissue.

    Each sample draws, per label or group of labels, the four numbers that `SignalModel`
    turns into the image of a sequence, each uniformly from the range of the tissue. T2* is
    at most T2.

    Args:
        labels: label values that may occur, distinct and non-negative, may be sparse. A
            label that is not listed has no signal, like air. None: in a recipe, those of the label
            table, with their tissues.
        tissues: one per label. A name: "white matter", "gray matter", "deep gray matter",
            "brainstem", "CSF", "lesion", "blood", "fat", "muscle", "skin", "bone", "bone
            marrow", "soft tissue" or "air", for which `tissues.TISSUES` has ranges and their
            sources; the tissues of label tables, such as "WM", "cortex", "deep grey",
            "vessel", "outside" and "background", are known, too. What is unknown counts as
            "soft tissue", whose ranges are wide. Or four ranges: proton density in [0, 1],
            T1, T2 and T2* in ms.
        groups: one number per label; labels of one group share their numbers, if they are of
            one tissue. In a recipe, "sides" or "tissues" of the label table.
        **kwargs: `probability`, `seed`, `name`. A sample that is left alone has the middle of
            each range.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: `(batch, *spatial, 4)`, float32: proton density, T1, T2, T2*.

    Raises:
        ValueError: if labels repeat or are negative, a list has the wrong length, or a range
            is reversed or out of bounds.

    Example:
    >>> import numpy as np
    >>> labels = np.array([0, 2], "int32").reshape(1, 2, 1, 1)
    >>> maps = RandomTissueMaps(labels=[2], tissues=[(0.7, 800, 70, 50)])(labels)
    >>> np.asarray(maps).reshape(2, 4).tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.699999988079071, 800.0, 70.0, 50.0]]

    Reference: Borges et al., Acquisition-invariant brain MRI segmentation with informative
        uncertainties, Medical Image Analysis 2024; Jog et al., PSACNN, NeuroImage 2019.
    """

    takes, gives, from_table = ("parts",), ("maps",), ("labels",)

    def __init__(
        self,
        labels: DistinctLabels | None = None,
        tissues: Annotated[Sequence[str | Sequence[Range]], as_tissues] | None = None,
        groups: Sharing | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(labels=labels, tissues=tissues, groups=groups, **kwargs)
        check_one_per_label(self, "tissues", "groups")
        if self.labels is not None and (tissues is None or isinstance(groups, str)):
            raise ValueError(
                "`tissues` and `groups` must have one entry per label where `labels` are given. "
                f"Received: tissues={tissues!r}, groups={groups!r}"
            )

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the labels, their tissues, and which of them are alike."""
        if self.labels is not None:
            return {}
        return {
            "labels": scene.contrast_labels,
            "tissues": scene.tissues(),
            "groups": scene.groups(self.groups),
        }

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "maps", `(batch, labels, 4)`, in the order of `labels`."""
        groups = self.groups or range(len(self.labels))
        index = np.unique(groups, return_inverse=True)[1]
        chance = random.uniform(
            random.fold_in(key, "maps"), (int(index.max()) + 1, len(PARAMETERS))
        )
        return {"maps": self._between(ops.take(chance, index, axis=1))}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Look the numbers up."""
        # Added to one: row 0 is for labels that are not listed.
        values = [0, *(v + 1 for v in sorted(self.labels))]
        table = ops.take(draws["maps"], np.argsort(self.labels), axis=1)
        table = ops.pad(table, ((0, 0), (1, 0), (0, 0)))
        return look_up(table, as_labels(inputs) + 1, values)

    def identity(self, inputs: Tensor) -> Tensor:
        """Give the middle of each range."""
        half = 0.5 * ops.ones((ops.shape(inputs)[0], len(self.labels), len(PARAMETERS)), "float32")
        return self.transform(inputs, {"maps": self._between(half)})

    def _between(self, chance: Tensor) -> Tensor:
        """Numbers in the ranges, T2* no longer than T2."""
        ranges = np.array([tissue_ranges(t) for t in self.tissues], "float32")
        low, high = (ops.convert_to_tensor(ranges[..., n]) for n in (0, 1))
        drawn = low + (high - low) * chance
        return ops.concatenate(
            [drawn[..., :3], ops.minimum(drawn[..., 2:3], drawn[..., 3:])], axis=-1
        )

    def output_spec(self, inputs: Any) -> Any:
        """Four maps."""
        return keras.KerasTensor((*inputs.shape[:-1], len(PARAMETERS)), "float32")
