"""Drawing and making the smooth fields that layers share."""

from typing import Any

from keras import ops

from synthtf import random
from synthtf.ops.noise import (
    fractal_noise,
    gaussian_noise,
    perlin_noise,
    value_noise,
)

Tensor = Any

KINDS = ("value", "gaussian", "perlin", "fractal")
_OCTAVES = 3


def lattice_size(noise: str, control_points: tuple[int, int]) -> int:
    """Largest number of control points per axis that a noise can use."""
    finest = 2 ** (_OCTAVES - 1) if noise == "fractal" else 1
    return (control_points[1] - 1) * finest + 1


def draw_noise(
    key: Tensor, noise: str, control_points: tuple[int, int], shape: tuple[int, ...], channels: int
) -> dict[str, Tensor]:
    """Draw the random numbers of a noise field.

    Args:
        key: int32 tensor `(batch, 2)`.
        noise: one of `KINDS`.
        control_points: smallest and largest number per axis; drawn per axis and sample.
        shape: spatial shape of the grid that the field is made on.
        channels: number of independent fields.

    Returns:
        Dict with "control_points" `(batch, ndim)` and the lattice or white noise.
    """
    ndim = len(shape)
    points = random.integers(random.fold_in(key, "control_points"), (ndim,), *control_points)
    lattice = (control_points[1],) * ndim
    key = random.fold_in(key, noise)
    if noise == "value":
        values = random.uniform(key, (*lattice, channels))
    elif noise == "gaussian":
        values = random.normal(key, (*shape, channels))
    elif noise == "perlin":
        values = random.normal(key, (*lattice, channels, ndim))
    else:
        finest = (lattice_size(noise, control_points),) * ndim
        values = random.normal(key, (_OCTAVES, *finest, channels, ndim))
    return {"control_points": points, "noise": values}


def make_noise(draws: dict[str, Tensor], noise: str, shape: tuple[int, ...]) -> Tensor:
    """Make the field of `draw_noise`.

    Args:
        draws: as `draw_noise` returns them.
        noise: one of `KINDS`.
        shape: spatial shape of the grid.

    Returns:
        float32 tensor `(batch, *shape, channels)` in [0, 1].
    """
    points, values = draws["control_points"], draws["noise"]
    if noise == "value":
        return value_noise(values, points, shape)
    if noise == "perlin":
        return perlin_noise(values, points, shape, fade=False)
    cells = ops.cast(points, "float32") - 1.0
    if noise == "gaussian":
        # A kernel of half a cell gives the same roughness as that many control points.
        std = ops.stack([(n - 1) / (2 * cells[:, d]) for d, n in enumerate(shape)], axis=-1)
        return gaussian_noise(values, std)
    octaves = [values[:, k] for k in range(_OCTAVES)]
    points = [(points - 1) * 2**k + 1 for k in range(_OCTAVES)]
    return fractal_noise(octaves, points, shape, fade=False)
