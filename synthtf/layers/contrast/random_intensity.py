"""Random contrast: from labels to intensities."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from synthtf import random
from synthtf.layers.base import RandomLayer, Tensor, as_labels
from synthtf.ops.indexing import take_per_sample
from synthtf.ops.labels import label_index
from synthtf.ranges import Range, as_range

_LARGEST_TABLE = 2**16


@keras.saving.register_keras_serializable(package="synthtf")
class RandomIntensity(RandomLayer):
    """Give every label a random intensity.

    Each sample draws one mean per label, or per group of labels, and optionally a
    standard deviation, and becomes the image `mean[label] + std[label] N(0, 1)`. The
    background (label 0) is zero unless `background_probability` says otherwise.

    Args:
        labels: label values that may occur, distinct and non-negative, may be sparse.
            Label 0 is added if missing; a label that is not listed counts as 0.
        mean: `(low, high)`, of the mean intensity.
        std: `(low, high)`, of the standard deviation within a label.
        groups: one number per label; labels of one group share mean and deviation.
        priors: one `(low, high)` per label that replaces `mean` for it.
        background_probability: that the background of a sample is not zero.
        **kwargs: `probability`, `seed`, `name`. A sample that is left alone keeps its
            label values as intensities.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: `(batch, *spatial, 1)`, float32.

    Raises:
        ValueError: if labels repeat or are negative, a list has the wrong length,
            or a range is reversed.

    Example:
    >>> import numpy as np
    >>> labels = np.array([0, 2, 2035], "int32").reshape(1, 3, 1, 1)
    >>> image = RandomIntensity(labels=[2, 2035], mean=0.5)(labels)
    >>> np.asarray(image).ravel().tolist()
    [0.0, 0.5, 0.5]

    Reference: Billot et al., SynthSeg, Medical Image Analysis 2023, section 3; Hoffmann,
        Domain-randomized deep learning for neuroimage analysis, 2025.
    """

    def __init__(
        self,
        labels: Sequence[int],
        mean: Range = (0, 1),
        std: Range = 0.0,
        groups: Sequence[int] | None = None,
        priors: Sequence[Range] | None = None,
        background_probability: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.labels = tuple(int(v) for v in labels)
        if not self.labels or len(set(self.labels)) != len(self.labels) or min(self.labels) < 0:
            raise ValueError(
                f"`labels` must be distinct and non-negative. Received: labels={self.labels}"
            )
        self.mean = as_range(mean, "mean")
        self.std = as_range(std, "std", 0)
        self.groups = None if groups is None else tuple(int(g) for g in groups)
        self.priors = None if priors is None else tuple(as_range(p, "priors") for p in priors)
        for name in ("groups", "priors"):
            given = getattr(self, name)
            if given is not None and len(given) != len(self.labels):
                raise ValueError(
                    f"`{name}` must have one entry per label ({len(self.labels)}). "
                    f"Received: {len(given)} entries"
                )
        self.background_probability = as_range(
            background_probability, "background_probability", 0, 1
        )[0]

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "mean" and "std", `(batch, labels)` in sorted order, 0 first, and noise."""
        values, group, low, high = self._tables()
        num = int(group.max()) + 1
        chance = random.uniform(random.fold_in(key, "mean"), (num,))
        mean = low + (high - low) * ops.take(chance, group, axis=1)
        background = self.uniform(key, "background", (0.0, 1.0), (1,))
        seen = ops.cast(background < self.background_probability, "float32")
        first = (np.arange(len(values)) == 0).astype("float32")
        draws = {"mean": mean * (1.0 - first * (1.0 - seen))}
        if self.std[1] > 0:
            std = ops.take(self.uniform(key, "std", self.std, (num,)), group, axis=1)
            draws["std"] = std * (1.0 - first * (1.0 - seen))
            draws["noise"] = random.normal(random.fold_in(key, "noise"), tuple(shape[1:]))
        return draws

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Look the intensities up."""
        values = self._tables()[0]
        labels = as_labels(inputs)
        lookup = _expand_table if values[-1] < _LARGEST_TABLE else _index_table
        image = lookup(draws["mean"], labels, values)
        if "std" in draws:
            image = image + lookup(draws["std"], labels, values) * draws["noise"]
        return image

    def identity(self, inputs: Tensor) -> Tensor:
        """Give the label values as intensities."""
        return ops.cast(as_labels(inputs), "float32")

    def _tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Sorted label values with 0 first, and the group and range of each."""
        values = sorted({0, *self.labels})
        groups = dict(zip(self.labels, self.groups or range(len(self.labels)), strict=True))
        numbers = sorted(set(groups.values()))
        position = {number: k for k, number in enumerate(numbers)}
        group = np.array([position.get(groups.get(v), len(numbers)) for v in values])
        priors = dict(zip(self.labels, self.priors or [self.mean] * len(self.labels), strict=True))
        ranges = np.array([priors.get(v, self.mean) for v in values], "float32")
        return np.array(values), group, ranges[:, 0], ranges[:, 1]

    def output_spec(self, inputs: Any) -> Any:
        """An image of the same shape."""
        return keras.KerasTensor(inputs.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "labels": self.labels,
            "mean": self.mean,
            "std": self.std,
            "groups": self.groups,
            "priors": self.priors,
            "background_probability": self.background_probability,
        }


def _expand_table(table: Tensor, labels: Tensor, values: np.ndarray) -> Tensor:
    """Look up label values directly in a table with gaps: one gather over the volume."""
    position = np.zeros(values[-1] + 2, "int32")
    position[values] = np.arange(len(values))
    wide = ops.take(table, position, axis=1)
    return take_per_sample(wide, ops.clip(labels, 0, int(values[-1]) + 1))


def _index_table(table: Tensor, labels: Tensor, values: np.ndarray) -> Tensor:
    return take_per_sample(table, label_index(labels, values))
