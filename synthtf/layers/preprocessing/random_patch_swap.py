"""Patches that change places."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, PositiveMillimetres, Spacing
from synthtf.layers.base import RandomLayer, Tensor, as_image, known_grid
from synthtf.ops.linear import matrix_product
from synthtf.ops.resampling import resample
from synthtf.ranges import WholeRange


@keras.saving.register_keras_serializable(package="synthtf")
class RandomPatchSwap(RandomLayer):
    """Swap pairs of patches of the same image: its intensities stay, their context does not.

    The two patches of a pair are boxes of one size at random places inside the volume. A pair
    that overlaps, or would overlap a pair swapped before it, is left as it is.

    Args:
        num_swaps: `(low, high)`, pairs that are tried; drawn per sample.
        size: `(low, high)`, mm, length of a patch, at most half the volume's; drawn per pair
            and axis.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds.

    Example:
    >>> import numpy as np
    >>> image = np.arange(64, dtype="float32").reshape(1, 8, 8, 1)
    >>> out = np.asarray(RandomPatchSwap(num_swaps=5, size=2, seed=1)(image))
    >>> bool((out != image).any()), bool((np.sort(out.ravel()) == image.ravel()).all())
    (True, True)

    Reference: Chen et al., Self-supervised learning for medical image analysis using image
        context restoration, Medical Image Analysis 2019.
    """

    def __init__(
        self,
        num_swaps: Annotated[WholeRange, Limits(0, 100)] = (1, 10),
        size: PositiveMillimetres = (5, 25),
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_swaps=num_swaps, size=size, spacing=spacing, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "num_swaps", and "size" and corners "first" and "second" in voxels per pair."""
        grid, spacing = known_grid(self, shape)
        pairs = (self.num_swaps[1], len(grid))
        voxels = ops.convert_to_tensor(grid, dtype="float32")
        size = self.uniform(key, "size", self.size, pairs)
        size = ops.round(size / ops.convert_to_tensor(spacing, dtype="float32"))
        size = ops.clip(size, 1.0, ops.maximum(ops.floor(voxels / 2), 1.0))
        places = voxels - size + 1.0

        def corner(name: str) -> Tensor:
            chance = random.uniform(random.fold_in(key, name), pairs)
            return ops.minimum(ops.floor(chance * places), places - 1.0)

        return {
            "num_swaps": random.integers(random.fold_in(key, "num_swaps"), (), *self.num_swaps),
            "size": size,
            "first": corner("first"),
            "second": corner("second"),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Gather each voxel from its place before the swaps."""
        image = as_image(inputs)
        if self.num_swaps[1] == 0:
            return image
        grid = tuple(image.shape[1:-1])
        swapped = ops.cast(_swapped(draws), "float32")[..., None]
        way = (draws["second"] - draws["first"]) * swapped
        # No voxel lies in two boxes that are swapped: their displacements add up.
        corner = ops.concatenate([draws["first"], draws["second"]], axis=1)
        size = ops.concatenate([draws["size"]] * 2, axis=1)
        displacement = ops.concatenate([way, -way], axis=1)
        masks = []
        for d, n in enumerate(grid):
            offset = ops.arange(n, dtype="float32") - corner[..., d, None]
            inside = ops.logical_and(offset >= 0, offset < size[..., d, None])
            masks.append(ops.cast(inside, "float32"))
        rest = masks[-1]
        for mask in masks[-2:0:-1]:
            rest = mask[..., None] * rest[:, :, None]
            rest = ops.reshape(rest, (-1, rest.shape[1], rest.shape[2] * rest.shape[3]))
        parts = [
            ops.reshape(
                matrix_product(
                    ops.transpose(masks[0] * displacement[..., d, None], (0, 2, 1)), rest
                ),
                (-1, *grid),
            )
            for d in range(len(grid))
        ]
        return resample(image, ops.stack(parts, axis=-1), "nearest")


def _swapped(draws: dict[str, Tensor]) -> Tensor:
    """Return which pairs change places, `(batch, pairs)`."""
    corners, size = (draws["first"], draws["second"]), draws["size"]
    meet = [
        _overlap(one[:, :, None], size[:, :, None], other[:, None], size[:, None])
        for one in corners
        for other in corners
    ]
    conflict = ops.any(ops.stack(meet), axis=0)
    apart = ops.logical_not(_overlap(corners[0], size, corners[1], size))
    swapped: list[Tensor] = []
    for k in range(size.shape[1]):
        free = ops.logical_and(apart[:, k], draws["num_swaps"] > k)
        if swapped:
            taken = ops.logical_and(conflict[:, k, :k], ops.stack(swapped, axis=1))
            free = ops.logical_and(free, ops.logical_not(ops.any(taken, axis=1)))
        swapped.append(free)
    return ops.stack(swapped, axis=1)


def _overlap(one: Tensor, size: Tensor, other: Tensor, size_of_other: Tensor) -> Tensor:
    """Return whether boxes with these corners overlap; the last axis is the spatial one."""
    both = ops.logical_and(one < other + size_of_other, other < one + size)
    return ops.all(both, axis=-1)
