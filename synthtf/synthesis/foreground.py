"""Which labels a task is about."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Probability, as_whole_numbers
from synthtf.layers.base import RandomLayer, Tensor, as_labels
from synthtf.ops.indexing import take_per_sample
from synthtf.ops.labels import look_up

# Voxels of each map that are looked at, and how many of a label must be among them.
_LOOKS, _LEAST = 256, 2
# Largest share of the other labels that join the first.
_JOIN = 0.4


@keras.saving.register_keras_serializable(package="synthtf")
class ChooseForeground(RandomLayer):
    """Choose of each sample one label, or several, which become 1; all others become 0.

    One that is in the first of the maps is chosen, and best in all of them, by a look at 256 voxels
    of each.

    Args:
        labels: label values that may be chosen, all above 0.
        several: share of samples in which each further label joins with a chance of up to 0.4.
        **kwargs: `seed`, `name`.

    Input shape: `(batch, maps, *spatial, 1)`, integer, of a known spatial shape.
    Output shape: the same, int32.
    """

    gives = ()

    def __init__(
        self,
        labels: Annotated[Sequence[int], as_whole_numbers],
        several: Probability = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(labels=labels, several=several, **kwargs)
        self._values = sorted({0, *self.labels})

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the voxels to look at, an order of the labels, and which ones join."""
        number = (len(self._values),)
        chance = random.uniform(random.fold_in(key, "several"), (1,))
        share = random.uniform(random.fold_in(key, "share"), (1,), 0.0, _JOIN)
        return {
            "looks": random.integers(
                random.fold_in(key, "looks"), (_LOOKS,), 0, math.prod(shape[2:-1]) - 1
            ),
            "order": random.uniform(random.fold_in(key, "order"), number),
            "joins": ops.logical_and(
                random.uniform(random.fold_in(key, "joins"), number) < share, chance < self.several
            ),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Choose and compare."""
        labels = as_labels(inputs)
        maps, voxels = labels.shape[1], math.prod(labels.shape[2:])
        flat = ops.transpose(ops.reshape(labels, (-1, maps, voxels)), (0, 2, 1))
        seen = take_per_sample(flat, draws["looks"])[..., None] == ops.array(self._values, "int32")
        enough = ops.cast(ops.sum(ops.cast(seen, "int32"), axis=1) >= _LEAST, "float32")
        score = draws["order"] + enough[:, 0] * (1 + ops.min(enough, axis=1))
        no_label = ops.one_hot(0, len(self._values), dtype="float32")
        first = ops.argmax(score - 4 * no_label, axis=-1)
        chosen = ops.logical_or(ops.one_hot(first, len(self._values), dtype="bool"), draws["joins"])
        table = ops.cast(chosen, "int32") * ops.cast(1 - no_label, "int32")
        return look_up(table, labels, self._values)
