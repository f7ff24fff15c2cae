"""Randomly removed structures."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from synthtf import random
from synthtf.layers.base import RandomLayer, Tensor, as_labels
from synthtf.ops.indexing import take_per_sample
from synthtf.ops.labels import map_labels
from synthtf.ranges import as_range


@keras.saving.register_keras_serializable(package="synthtf")
class RandomStructures(RandomLayer):
    """Remove or keep groups of labels, as in ex vivo scans of one hemisphere.

    Each group, such as a hemisphere, the brain stem, the cerebellum or all that lies outside the
    brain, is replaced by `fill` with its own probability, independently of the others. If
    `keep_one` and the draw removes all groups, one of them, each as likely, is kept after all;
    groups that are always removed, of a probability of 1, are chosen only if there are no others.

    Args:
        groups: lists of label values that are removed together. No label is in two groups;
            labels in none are never removed.
        removal_probability: of each group, in [0, 1]; a scalar for all, or one per group.
        keep_one: keep at least one group.
        fill: label of removed voxels.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: the same, int32.

    Raises:
        ValueError: if there is no group, a group is empty, a label is negative or in two groups,
            or a probability is out of range or missing.

    Example:
    >>> import numpy as np
    >>> labels = np.array([2, 41, 16], "int32").reshape(1, 3, 1, 1)
    >>> layer = RandomStructures([[2, 3], [41, 42]], removal_probability=(0, 1))
    >>> np.asarray(layer(labels)).ravel().tolist()
    [2, 0, 16]

    Reference: Gazula et al., Machine learning of dissection photographs and surface scanning for
        quantitative 3D neuropathology, eLife 2024, for data that show single hemispheres.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[int]],
        removal_probability: float | Sequence[float] = 0.5,
        keep_one: bool = True,
        fill: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.groups = tuple(tuple(int(v) for v in group) for group in groups)
        values = [v for group in self.groups for v in group]
        if not self.groups or not all(self.groups):
            raise ValueError(
                "`groups` must be lists of labels, at least one, none empty. "
                f"Received: groups={self.groups}"
            )
        if min(values) < 0 or len(set(values)) < len(values):
            raise ValueError(
                "`groups` must hold labels that are not negative, each in one group only. "
                f"Received: groups={self.groups}"
            )
        self.removal_probability = self._parse(removal_probability)
        self.keep_one = bool(keep_one)
        self.fill = int(fill)
        if self.fill < 0:
            raise ValueError(f"`fill` must be a label, at least 0. Received: fill={fill!r}")

    def _parse(self, value: float | Sequence[float]) -> float | tuple[float, ...]:
        if not hasattr(value, "__len__") or isinstance(value, str):
            return as_range(value, "removal_probability", 0, 1)[0]
        if len(value) != len(self.groups):
            raise ValueError(
                "`removal_probability` must be a number or one per group "
                f"({len(self.groups)}). Received: removal_probability={value!r}"
            )
        return tuple(as_range(v, "removal_probability", 0, 1)[0] for v in value)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "removed", `(batch, groups)`, 1 for a group that is removed, else 0."""
        num = len(self.groups)
        limit = np.broadcast_to(np.array(self.removal_probability, "float32"), (num,))
        chance = random.uniform(random.fold_in(key, "removed"), (num,))
        removed = chance < limit
        if self.keep_one:
            # Where all are removed, `chance / limit` is uniform, so each is as often the largest.
            certain = np.logical_and(limit == 1, limit.min() < 1)
            order = chance / np.maximum(limit, 1e-7) - 2.0 * certain
            kept = ops.one_hot(ops.argmax(order, axis=-1), num, dtype="bool")
            none = ops.all(removed, axis=-1, keepdims=True)
            removed = ops.logical_and(removed, ops.logical_not(ops.logical_and(none, kept)))
        return {"removed": ops.cast(removed, "int32")}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Fill the removed groups."""
        labels = as_labels(inputs)
        group = map_labels(labels, {v: k for k, g in enumerate(self.groups, 1) for v in g})
        removed = ops.pad(draws["removed"], ((0, 0), (1, 0)))
        return ops.where(take_per_sample(removed, group) == 1, self.fill, labels)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {
            **super().get_config(),
            "groups": self.groups,
            "removal_probability": self.removal_probability,
            "keep_one": self.keep_one,
            "fill": self.fill,
        }
