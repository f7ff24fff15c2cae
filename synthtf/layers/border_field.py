"""The distance by which layers move the border of a region: how to draw and to compute it."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from synthtf import random
from synthtf.layers.base import expand
from synthtf.ops.lattice import lattice_field, lattice_shape

Tensor = Any

# Number of standard deviations at which the variation is cut off, to bound the distances.
_FARTHEST = 3.0


def is_still(border: tuple[float, float], roughness: tuple[float, float]) -> bool:
    """Return whether these ranges leave every border where it is."""
    return border == (0, 0) and roughness[1] == 0


def farthest_border(border: tuple[float, float], roughness: tuple[float, float]) -> float:
    """Return the largest distance that a border can move, in mm."""
    return max(map(abs, border)) + _FARTHEST * roughness[1]


def draw_border(
    key: Tensor,
    border: tuple[float, float],
    roughness: tuple[float, float],
    size: tuple[float, float],
    shape: Sequence[int],
    spacing: Sequence[float],
) -> dict[str, Tensor]:
    """Draw the movement of a border.

    Args:
        key: int32 tensor `(batch, 2)`.
        border: mean movement in mm, positive outwards.
        roughness: standard deviation of its spatial variation, in mm.
        size: distance between lattice points of that variation, in mm.
        shape: spatial shape of the volume.
        spacing: mm per voxel, one per axis.

    Returns:
        Dict with "border" (mm), and, unless it never varies, "roughness" (mm), "roughness_size"
        (mm), "shift" and "noise" of its lattice.
    """

    def uniform(name: str, bounds: tuple[float, float], shape: tuple = ()) -> Tensor:
        return random.uniform(random.fold_in(key, name), shape, *bounds)

    draws = {"border": uniform("border", border)}
    if roughness[1]:
        lattice = lattice_shape(shape, spacing, size[0])
        draws["roughness"] = uniform("roughness", roughness)
        draws["roughness_size"] = uniform("roughness_size", size)
        draws["shift"] = uniform("shift", (0.0, 1.0), (len(shape),))
        draws["noise"] = random.normal(random.fold_in(key, "noise"), (*lattice, 1))
    return draws


def make_border(
    draws: dict[str, Tensor], shape: Sequence[int], spacing: Sequence[float], farthest: float
) -> Tensor:
    """Make the movement of `draw_border`, within ± `farthest`.

    Returns:
        float32 tensor that broadcasts with `(batch, *shape, 1)`, in mm.
    """
    mean = ops.reshape(draws["border"], (-1,) + (1,) * (len(shape) + 1))
    if "noise" not in draws:
        return mean
    own = (draws[name] for name in ("noise", "roughness_size", "shift"))
    field = lattice_field(*own, shape, spacing)
    return ops.clip(mean + expand(draws["roughness"], field) * field, -farthest, farthest)
