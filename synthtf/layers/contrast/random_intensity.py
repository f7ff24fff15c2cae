"""Random contrast: from labels to intensities."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, Probability, as_ranges
from synthtf.label_arguments import DistinctLabels, Groups, Sharing, check_one_per_label
from synthtf.layers.base import RandomLayer, Tensor, as_labels
from synthtf.layers.scene import Scene
from synthtf.ops.labels import look_up
from synthtf.ranges import Range


@keras.saving.register_keras_serializable(package="synthtf")
class RandomIntensity(RandomLayer):
    """Give every label a random intensity.

    Each sample draws one mean per label, or per group of labels, and optionally a
    standard deviation, and becomes the image `mean[label] + std[label] N(0, 1)`. The
    background (label 0) is zero unless `background_probability` says otherwise. Several
    channels are several contrasts of one anatomy: each draws its own means, deviations
    and noise.

    Args:
        labels: label values that may occur, distinct and non-negative, may be sparse.
            Label 0 is added if missing; a label that is not listed counts as 0. None: in a
            recipe, those of the label table, and the parts that they are divided into.
        mean: `(low, high)`, of the mean intensity.
        std: `(low, high)`, of the standard deviation within a label.
        groups: one number per label; labels of one group share mean and deviation. In a recipe,
            "sides" or "tissues" of the label table.
        priors: one `(low, high)` per label that replaces `mean` for it.
        background_probability: chance that the background of a sample is not zero.
        std_priors: one `(low, high)` per label that replaces `std` for it.
        channels: number of contrasts.
        tissues: one number per label; labels of one tissue may have similar means. None: in a
            recipe, the tissues of the brain, and of CSF, in the label table.
        tissue_probability: chance that a sample draws a mean for each tissue. The mean of a label
            is then that of its tissue plus `tissue_spread` N(0, 1) for each label or group,
            clipped to the range of the label.
        tissue_spread: `(low, high)`, drawn per sample.
        **kwargs: `probability`, `seed`, `name`. A sample that is left alone keeps its
            label values as intensities.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: `(batch, *spatial, channels)`, float32.

    Raises:
        ValueError: if labels repeat or are negative, a list has the wrong length,
            a range is reversed, or `channels` is no positive whole number.

    Example:
    >>> import numpy as np
    >>> labels = np.array([0, 2, 2035], "int32").reshape(1, 3, 1, 1)
    >>> layer = RandomIntensity(labels=[2, 2035], mean=0.5, background_probability=0)
    >>> image = layer(labels)
    >>> np.asarray(image).ravel().tolist()
    [0.0, 0.5, 0.5]

    Reference: Billot et al., SynthSeg, Medical Image Analysis 2023, section 3; Hoffmann,
        Domain-randomized deep learning for neuroimage analysis, 2025.
    """

    takes, gives, from_table = ("parts",), ("image",), ("labels",)

    def __init__(
        self,
        labels: DistinctLabels | None = None,
        mean: Annotated[Range, Limits()] = (0, 1),
        std: Annotated[Range, Limits(0)] = 0.0,
        groups: Sharing | None = None,
        priors: Annotated[Sequence[Range], as_ranges] | None = None,
        background_probability: Probability = 0.5,
        std_priors: Annotated[Sequence[Range], partial(as_ranges, minimum=0)] | None = None,
        channels: Annotated[int, Limits(1, 64)] = 1,
        tissues: Groups | None = None,
        tissue_probability: Probability = 0.0,
        tissue_spread: Annotated[Range, Limits(0)] = (0, 0.15),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            labels=labels,
            mean=mean,
            std=std,
            groups=groups,
            priors=priors,
            background_probability=background_probability,
            std_priors=std_priors,
            channels=channels,
            tissues=tissues,
            tissue_probability=tissue_probability,
            tissue_spread=tissue_spread,
            **kwargs,
        )
        check_one_per_label(self, "groups", "priors", "std_priors", "tissues")
        if self.labels is not None and isinstance(self.groups, str):
            raise ValueError(
                "`groups` must be one number per label where `labels` are given. "
                f"Received: groups={groups!r}"
            )
        if self.labels is not None and self.tissue_probability and tissues is None:
            raise ValueError("`tissue_probability` needs `tissues`, one number per label")

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the labels, and which of them are alike."""
        if self.labels is not None:
            return {}
        return {
            "labels": scene.contrast_labels,
            "groups": scene.groups(self.groups),
            "tissues": scene.brain_tissues() if self.tissue_probability else None,
        }

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "mean" and "std" of the labels in sorted order, 0 first, and noise.

        The tables are `(batch, labels)`, or `(batch, labels, channels)` if there are several.
        """
        values, group = self._values_and_groups(self.groups)
        several = (self.channels,) if self.channels > 1 else ()

        def as_column(row: np.ndarray) -> Tensor:
            return ops.convert_to_tensor(row.reshape(-1, *[1] * len(several)), "float32")

        size = (int(group.max()) + 1, *several)
        background = self.uniform(key, "background", (0.0, 1.0), (1,) * len(size))
        seen = ops.cast(background < self.background_probability, "float32")
        first = as_column(np.arange(len(values)) == 0)

        def draw_table(name: str, low: Tensor, high: Tensor) -> Tensor:
            chance = ops.take(random.uniform(random.fold_in(key, name), size), group, axis=1)
            return low + (high - low) * chance

        seen = 1.0 - first * (1.0 - seen)
        low, high = map(as_column, self._ranges(self.priors, self.mean))
        mean = draw_table("mean", low, high)
        if self.tissue_probability:
            similar = self._draw_tissues(key, low, high, size)
            chance = self.uniform(key, "similar", (0.0, 1.0), (1,) * len(size))
            mean = ops.where(chance < self.tissue_probability, similar, mean)
        draws = {"mean": mean * seen}
        low, high = self._ranges(self.std_priors, self.std)
        if high.max() > 0:
            draws["std"] = draw_table("std", as_column(low), as_column(high)) * seen
            noise = (*shape[1:-1], self.channels)
            draws["noise"] = random.normal(random.fold_in(key, "noise"), noise)
        return draws

    def _draw_tissues(
        self, key: Tensor, low: Tensor, high: Tensor, size: tuple[int, ...]
    ) -> Tensor:
        """Draw means that are similar within a tissue."""
        group = self._values_and_groups(self.groups)[1]
        tissue = self._values_and_groups(self.tissues)[1]
        count = (int(tissue.max()) + 1, *size[1:])
        chance = ops.take(random.uniform(random.fold_in(key, "tissue"), count), tissue, axis=1)
        deviation = ops.take(random.normal(random.fold_in(key, "spread"), size), group, axis=1)
        spread = self.uniform(key, "tissue_spread", self.tissue_spread, (1,) * len(size))
        return ops.clip(low + (high - low) * chance + spread * deviation, low, high)

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Look the intensities up."""
        values = self._values_and_groups(self.groups)[0]
        labels = as_labels(inputs)
        image = look_up(draws["mean"], labels, values)
        if "std" in draws:
            image = image + look_up(draws["std"], labels, values) * draws["noise"]
        return image

    def identity(self, inputs: Tensor) -> Tensor:
        """Give the label values as intensities."""
        return ops.repeat(ops.cast(as_labels(inputs), "float32"), self.channels, axis=-1)

    def _values_and_groups(self, given: Sequence[int] | None) -> tuple[np.ndarray, np.ndarray]:
        """Sorted label values with 0 first, and the group of each; by itself if none is given."""
        values = sorted({0, *self.labels})
        groups = dict(zip(self.labels, given or range(len(self.labels)), strict=True))
        numbers = sorted(set(groups.values()))
        position = {number: k for k, number in enumerate(numbers)}
        group = np.array([position.get(groups.get(v), len(numbers)) for v in values])
        return np.array(values), group

    def _ranges(self, priors: Sequence[Range] | None, default: Range) -> np.ndarray:
        """Lower and upper limit of each label value, `(2, labels)`."""
        given = dict(zip(self.labels, priors or [default] * len(self.labels), strict=True))
        ranges = [given.get(v, default) for v in sorted({0, *self.labels})]
        return np.array(ranges, "float32").T

    def output_spec(self, inputs: Any) -> Any:
        """An image of that many channels."""
        return keras.KerasTensor((*inputs.shape[:-1], self.channels), "float32")
