"""Randomly removed structures."""

from collections.abc import Sequence
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops

from synthtf import random
from synthtf.label_arguments import Label, RegionGroups
from synthtf.layers.base import RandomLayer, Tensor, as_labels
from synthtf.layers.scene import Scene
from synthtf.ops.indexing import take_per_sample
from synthtf.ops.labels import map_labels
from synthtf.ranges import as_number


def _as_probabilities(value: Any, name: str) -> float | tuple[float, ...]:
    if hasattr(value, "__len__") and not isinstance(value, str):
        return tuple(as_number(v, name, 0, 1) for v in value)
    return as_number(value, name, 0, 1)


@keras.saving.register_keras_serializable(package="synthtf")
class RandomStructures(RandomLayer):
    """Remove or keep groups of labels, as in ex vivo scans of one hemisphere.

    Each group, such as a hemisphere, the brain stem, the cerebellum or all that lies outside the
    brain, is replaced by `fill` with its own probability, independently of the others. If
    `keep_one` and the draw removes all groups, one of them, each as likely, is kept after all;
    groups that are always removed, of a probability of 1, are chosen only if there are no others.

    Args:
        groups: lists of label values that are removed together, or, in a recipe, names of
            regions of the label table. No label is in two groups; labels in none are never
            removed.
        removal_probability: chance to remove a group, in [0, 1]; a scalar, or one per group.
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

    takes, gives, from_table = ("labels",), ("labels",), ("groups",)

    def __init__(
        self,
        groups: RegionGroups = ("left", "right", "brainstem", "outside"),
        removal_probability: Annotated[float | Sequence[float], _as_probabilities] = 0.5,
        keep_one: bool = True,
        fill: Label = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            groups=groups,
            removal_probability=removal_probability,
            keep_one=keep_one,
            fill=fill,
            **kwargs,
        )
        given = self.removal_probability
        if isinstance(given, tuple) and len(given) != len(self.groups):
            raise ValueError(
                "`removal_probability` must be a number or one per group "
                f"({len(self.groups)}). Received: removal_probability={given!r}"
            )

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the labels of each group."""
        return {"groups": scene.label_groups(self.groups)}

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "removed", `(batch, groups)`, 1 for a group that is removed, else 0."""
        num = len(self.groups)
        limit = np.broadcast_to(np.array(self.removal_probability, "float32"), (num,))
        chance = random.uniform(random.fold_in(key, "removed"), (num,))
        removed = chance < ops.convert_to_tensor(limit)
        if self.keep_one:
            # Where all are removed, `chance / limit` is uniform, so each is as often the largest.
            certain = np.logical_and(limit == 1, limit.min() < 1)
            least = ops.convert_to_tensor(np.maximum(limit, 1e-7))
            order = chance / least - ops.convert_to_tensor(2.0 * certain, "float32")
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
