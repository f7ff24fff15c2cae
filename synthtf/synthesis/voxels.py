"""Which voxels are compared."""

import math
from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits
from synthtf.layers.base import RandomLayer, SynthesisLayer, Tensor, as_labels
from synthtf.ops.indexing import take_per_sample

# Voxels from which those of each sample are chosen, for each of them.
_CANDIDATES = 8


@keras.saving.register_keras_serializable(package="synthtf")
class DrawVoxels(RandomLayer):
    """Draw voxels of a label map, about as many of each label.

    Eight times as many candidates are drawn uniformly. Of these, the first of each label are taken,
    then the second of each label, and so on.

    Args:
        voxels: their number.
        **kwargs: `seed`, `name`.

    Input shape: `(batch, *spatial, 1)`, integer, of a known spatial shape.
    Output shape: `(batch, voxels)`, int32: places in the flattened map.
    """

    gives = ()

    def __init__(self, voxels: Annotated[int, Limits(2)] = 256, **kwargs: Any) -> None:
        super().__init__(voxels=voxels, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the candidates and their order."""
        number = (_CANDIDATES * self.voxels,)
        place = random.fold_in(key, "candidates")
        return {
            "candidates": random.integers(place, number, 0, math.prod(shape[1:-1]) - 1),
            "order": random.uniform(random.fold_in(key, "order"), number),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Choose."""
        labels, order = as_labels(inputs), draws["order"]
        flat = ops.reshape(labels, (-1, math.prod(labels.shape[1:])))
        found = take_per_sample(flat, draws["candidates"])
        before = ops.logical_and(
            found[:, :, None] == found[:, None, :], order[:, None, :] < order[:, :, None]
        )
        rank = ops.sum(ops.cast(before, "float32"), axis=-1) + order
        chosen = ops.top_k(-rank, self.voxels)[1]
        return take_per_sample(draws["candidates"], ops.cast(chosen, "int32"))

    def output_spec(self, inputs: Any) -> Any:
        """A place for each voxel."""
        return keras.KerasTensor((inputs.shape[0], self.voxels), "int32")


@keras.saving.register_keras_serializable(package="synthtf")
class TakeVoxels(SynthesisLayer):
    """Take the values of maps at some voxels.

    Input shape: `(batch, *spatial, channels)`, of a known spatial shape, and places, int32
        `(batch, voxels)`.
    Output shape: `(batch, voxels, channels)`, of the type of the maps.
    """

    gives = ()

    def call(self, maps: Tensor, places: Tensor) -> Tensor:
        """Look up."""
        flat = ops.reshape(maps, (-1, math.prod(maps.shape[1:-1]), maps.shape[-1]))
        return take_per_sample(flat, places)

    def compute_output_spec(self, maps: Any, places: Any) -> Any:
        """A row for each voxel."""
        return keras.KerasTensor((*places.shape, maps.shape[-1]), maps.dtype)
