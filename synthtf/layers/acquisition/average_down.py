"""Averages of blocks of voxels."""

import dataclasses
import itertools
import math
from typing import Annotated, Any, Literal

import keras
from keras import ops, tree

from synthtf.arguments import Limits
from synthtf.layers.base import SynthesisLayer, Tensor, as_image_or_labels
from synthtf.layers.scene import Scene
from synthtf.ranges import per_axis


@keras.saving.register_keras_serializable(package="synthtf")
class AverageDown(SynthesisLayer):
    """Average blocks of voxels: partial volume, for recipes that synthesise at high resolution.

    A voxel of an image becomes the mean of the `k` voxels along each axis that it covers, and
    mixes their tissues. In label maps the most frequent label of the block wins, and in a tie
    the larger label, so that background does not replace thin structures. The voxel size is `k`
    times as large.

    As a step of a recipe it divides the sizes of all parts by `k`; later steps work on the larger
    voxels and change no labels. The model of the recipe then also gives "fine_labels", the label
    map before the first such step, and a network of segmentation learns the share that each label
    has of a voxel.

    Args:
        factor: voxels of a block along each axis, `k`.
        labels: "majority", or "nearest" for the label of the voxel at or after the centre.
        **kwargs: `name`.

    Input shape: a tensor or a structure of tensors `(batch, *spatial, channels)`; integer ones
        are label maps. Each axis is a multiple of the factor.
    Output shape: `(batch, *spatial / k, channels)`, float32 or int32.

    Raises:
        ValueError: if the factor is not a whole number above zero, the mode is unknown, or an
            axis is not a multiple of the factor.

    Example:
    >>> import numpy as np
    >>> image = np.array([0, 1, 4, 6], "float32").reshape(1, 4, 1, 1).repeat(2, axis=2)
    >>> np.asarray(AverageDown(2)(image)).ravel().tolist()
    [0.5, 5.0]
    """

    is_still = True
    coarsens = True

    def __init__(
        self,
        factor: Annotated[int, Limits(1, 64, "voxels")] = 2,
        labels: Literal["majority", "nearest"] = "majority",
        **kwargs: Any,
    ) -> None:
        super().__init__(factor=factor, labels=labels, **kwargs)

    def call(self, inputs: Any) -> Any:
        """Average images, and take the majority of labels."""
        return tree.map_structure(self._reduce, inputs)

    def _reduce(self, x: Tensor) -> Tensor:
        x = as_image_or_labels(x)
        self._check(x.shape)
        if self.factor == 1:
            return x
        if keras.backend.standardize_dtype(x.dtype) == "float32":
            return _mean(x, self.factor)
        return _majority(x, self.factor) if self.labels == "majority" else _centre(x, self.factor)

    def output_spec(self, inputs: Any) -> Any:
        """Smaller volumes."""

        def smaller(x: Any) -> Any:
            self._check(x.shape)
            spatial = (None if n is None else n // self.factor for n in x.shape[1:-1])
            dtype = as_image_or_labels(keras.KerasTensor(x.shape, x.dtype)).dtype
            return keras.KerasTensor((x.shape[0], *spatial, x.shape[-1]), dtype)

        return tree.map_structure(smaller, inputs)

    def after(self, scene: Scene) -> Scene:
        """Give the grid of the larger voxels."""
        self._check((None, *scene.shape, 1))
        shape = tuple(n // self.factor for n in scene.shape)
        spacing = tuple(mm * self.factor for mm in per_axis(scene.spacing, len(shape)))
        return dataclasses.replace(scene, shape=shape, spacing=spacing)

    def _check(self, shape: tuple[int | None, ...]) -> None:
        if any(n is not None and n % self.factor for n in shape[1:-1]):
            raise ValueError(
                f"{self.name}: each spatial axis must be a multiple of {self.factor}. "
                f"Received: an input of shape {tuple(shape)}"
            )


def _mean(x: Tensor, factor: int) -> Tensor:
    """Mean of blocks, one axis after the other."""
    for axis in range(1, len(x.shape) - 1):
        shape = x.shape
        x = ops.reshape(x, (-1, shape[axis] // factor, factor, math.prod(shape[axis + 1 :])))
        x = sum((x[:, :, k] for k in range(1, factor)), start=x[:, :, 0]) / factor
        x = ops.reshape(x, (-1, *shape[1:axis], shape[axis] // factor, *shape[axis + 1 :]))
    return x


def _split(x: Tensor, factor: int) -> Tensor:
    """Split each axis into blocks: `(batch, n, k, m, k, ..., channels)`."""
    blocks = [size for n in x.shape[1:-1] for size in (n // factor, factor)]
    return ops.reshape(x, (-1, *blocks, x.shape[-1]))


def _member(blocks: Tensor, index: tuple[int, ...]) -> Tensor:
    """Take the same voxel of every block."""
    for d, k in enumerate(index):
        blocks = ops.take(blocks, k, axis=d + 2)
    return blocks


def _centre(x: Tensor, factor: int) -> Tensor:
    return _member(_split(x, factor), (factor // 2,) * (len(x.shape) - 2))


def _majority(x: Tensor, factor: int) -> Tensor:
    blocks = _split(x, factor)
    corners = itertools.product(range(factor), repeat=len(x.shape) - 2)
    members = [_member(blocks, index) for index in corners]
    votes = [ops.ones_like(one) for one in members]
    for i, j in itertools.combinations(range(len(members)), 2):
        agree = ops.cast(ops.equal(members[i], members[j]), "int32")
        votes[i], votes[j] = votes[i] + agree, votes[j] + agree
    most, winner = votes[0], members[0]
    for vote, label in zip(votes[1:], members[1:], strict=True):
        tied = ops.logical_and(ops.equal(vote, most), label > winner)
        wins = ops.logical_or(vote > most, tied)
        most, winner = ops.where(wins, vote, most), ops.where(wins, label, winner)
    return winner
