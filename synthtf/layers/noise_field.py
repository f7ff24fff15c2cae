"""Smooth fields that layers share: how to draw and to compute them."""

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


def lattice_size(
    noise: str, control_points: tuple[int, int], octaves: tuple[int, int] = (1, 1)
) -> int:
    """Return the largest number of control points per axis that a noise can use."""
    finest = 2 ** (octaves[1] - 1) if noise == "fractal" else 1
    return (control_points[1] - 1) * finest + 1


def draw_noise(
    key: Tensor,
    noise: str,
    control_points: tuple[int, int],
    shape: tuple[int, ...],
    channels: int,
    octaves: tuple[int, int] = (1, 1),
) -> dict[str, Tensor]:
    """Draw the random numbers of a noise field.

    Args:
        key: int32 tensor `(batch, 2)`.
        noise: one of `KINDS`.
        control_points: smallest and largest number of control points; drawn per axis and sample.
        shape: spatial shape of the grid that the field is made on.
        channels: number of independent fields.
        octaves: smallest and largest number of octaves of fractal noise; drawn per sample.

    Returns:
        Dict with "control_points" `(batch, ndim)` and the lattice or white noise: "noise", and
        for fractal noise "octaves" `(batch,)` and "noise_0", "noise_1" and so on.
    """
    ndim = len(shape)
    points = random.integers(random.fold_in(key, "control_points"), (ndim,), *control_points)
    lattice = (control_points[1],) * ndim
    draws = {"control_points": points}
    if noise == "fractal":
        draws["octaves"] = random.integers(random.fold_in(key, "octaves"), (), *octaves)
    key = random.fold_in(key, noise)
    if noise == "value":
        draws["noise"] = random.uniform(key, (*lattice, channels))
    elif noise == "gaussian":
        draws["noise"] = random.normal(key, (*shape, channels))
    elif noise == "perlin":
        draws["noise"] = random.normal(key, (*lattice, channels, ndim))
    else:
        for k in range(octaves[1]):
            size = lattice_size(noise, control_points, (1, k + 1))
            # The grid cannot show an octave with more points than it has.
            lattice = tuple(min(size, max(n, control_points[1])) for n in shape)
            octave = random.fold_in(key, f"octave {k}")
            draws[f"noise_{k}"] = random.normal(octave, (*lattice, channels, ndim))
    return draws


def make_noise(draws: dict[str, Tensor], noise: str, shape: tuple[int, ...]) -> Tensor:
    """Make the field of `draw_noise`. Along an axis with one control point it is constant.

    Args:
        draws: the result of `draw_noise`.
        noise: one of `KINDS`.
        shape: spatial shape of the grid.

    Returns:
        float32 tensor `(batch, *shape, channels)` in [0, 1]; 0 if it is constant. Octaves of
        fractal noise with more control points than the grid has points are left out.
    """
    points = draws["control_points"]
    if noise == "value":
        return value_noise(draws["noise"], points, shape)
    if noise == "perlin":
        return perlin_noise(draws["noise"], points, shape)
    if noise == "gaussian":
        # A kernel of half a cell gives the same roughness as that many control points.
        cells = ops.maximum(ops.cast(points, "float32") - 1.0, 1e-3)
        std = ops.stack([(n - 1) / (2 * cells[:, d]) for d, n in enumerate(shape)], axis=-1)
        field = gaussian_noise(draws["noise"], std)
        varies = ops.cast(ops.any(points > 1, axis=-1), "float32")
        return field * ops.reshape(varies, (-1,) + (1,) * (len(shape) + 1))
    largest = sum(name.startswith("noise_") for name in draws)
    octaves = [(points - 1) * 2**k + 1 for k in range(largest)]
    sizes = ops.convert_to_tensor([shape], dtype="int32")
    fit = [ops.cast(ops.all(octave <= sizes, axis=-1), "int32") for octave in octaves[1:]]
    return fractal_noise(
        [draws[f"noise_{k}"] for k in range(largest)],
        octaves,
        shape,
        octaves=ops.minimum(draws["octaves"], 1 + sum(fit)),
    )
