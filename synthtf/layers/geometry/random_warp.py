"""Random displacement fields."""

from typing import Annotated, Any, Literal

import keras
from keras import ops, tree

from synthtf.arguments import ControlPoints, Limits, Millimetres, Shape, Spacing
from synthtf.layers.base import RandomLayer, Tensor, expand
from synthtf.layers.noise_field import (
    KINDS,
    draw_noise,
    lattice_size,
    make_noise,
)
from synthtf.ops.fields import integrate_components
from synthtf.ops.resample import upsample
from synthtf.ranges import per_axis

# On a finer grid the flow contracts more than the grid of the volume can show, and the warp
# folds there: three points per cell double the number of folded voxels.
_GRID_POINTS_PER_CELL = 2


@keras.saving.register_keras_serializable(package="synthtf")
class RandomWarp(RandomLayer):
    """Draw a smooth displacement field per sample.

    `v(x) = strength (2 F(x) - 1)` with a noise field `F` in [0, 1] per component.
    If `diffeomorphic`, `v` is a stationary velocity field that is integrated over
    unit time by scaling and squaring, so that the warp does not fold; if not, it
    is the displacement itself. Both are computed on a grid of two points per lattice
    cell, the velocity on at most one per two voxels, and upsampled linearly. Perlin noise
    is not faded here: it would be steeper between its control points, where strong warps
    fold first.

    Args:
        strength: `(low, high)`, mm, largest component of `v`; drawn per sample.
        control_points: `(low, high)`, of the noise, drawn per sample and axis.
        noise: "perlin", "value", "gaussian" or "fractal".
        diffeomorphic: integrate the field.
        integration_steps: number of squarings.
        spacing: mm per voxel, a scalar or one per axis.
        shape: spatial shape of the volume to warp, default that of the input.
        full_resolution: upsample to that shape. If False, the field is returned on
            its own grid, which `Resample` and `ComposeTransforms` accept.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, any dtype; only its shape matters.
    Output shape: `(batch, *shape, ndim)`, float32, in voxels.

    Raises:
        ValueError: if a range is reversed or out of bounds, or the noise is unknown.

    Example:
    >>> import numpy as np
    >>> tuple(RandomWarp()(np.zeros((1, 32, 32, 1), "int32")).shape)
    (1, 32, 32, 2)

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025.
    """

    def __init__(
        self,
        strength: Millimetres = (0, 20),
        control_points: ControlPoints = (2, 16),
        noise: Literal[KINDS] = "perlin",
        diffeomorphic: bool = True,
        integration_steps: Annotated[int, Limits(0)] = 5,
        spacing: Spacing = 1.0,
        shape: Shape | None = None,
        full_resolution: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            strength=strength,
            control_points=control_points,
            noise=noise,
            diffeomorphic=diffeomorphic,
            integration_steps=integration_steps,
            spacing=spacing,
            shape=shape,
            full_resolution=full_resolution,
            **kwargs,
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the strength (mm) and the random numbers of the noise."""
        grid = self._grid(shape)
        draws = draw_noise(key, self.noise, self.control_points, grid, len(grid))
        return {**draws, "strength": self.uniform(key, "strength", self.strength)}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Make the field, integrate it and upsample it."""
        shape = tuple(tree.flatten(inputs)[0].shape)
        grid, volume = self._grid(shape), self._volume(shape)
        field = 2.0 * make_noise(draws, self.noise, grid) - 1.0
        field = field * expand(draws["strength"], field)
        step = [(n - 1) / max(m - 1, 1) for n, m in zip(volume, grid, strict=True)]
        scale = [
            1 / (s * mm) for s, mm in zip(step, per_axis(self.spacing, len(grid)), strict=True)
        ]
        parts = [field[..., d] * scale[d] for d in range(len(grid))]
        if self.diffeomorphic:
            parts = integrate_components(parts, self.integration_steps)
        parts = [part * s for part, s in zip(parts, step, strict=True)]
        if self.full_resolution:
            parts = [upsample(part, volume) for part in parts]
        return ops.stack(parts, axis=-1)

    def identity(self, inputs: Tensor) -> Tensor:
        """No displacement; broadcasts over the batch."""
        spec = self.output_spec(inputs)
        return ops.zeros((1, *spec.shape[1:]), "float32")

    def output_spec(self, inputs: Any) -> Any:
        """One field per sample."""
        shape = tuple(tree.flatten(inputs)[0].shape)
        out = self._volume(shape) if self.full_resolution else self._grid(shape)
        return keras.KerasTensor((shape[0], *out, len(out)), "float32")

    def _volume(self, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        volume = self.shape or tuple(shape[1:-1])
        if len(volume) != len(shape) - 2 or None in volume:
            raise ValueError(
                f"{self.name}: give `shape`, one size per spatial axis. "
                f"Received: shape={self.shape} for an input of shape {shape}"
            )
        return volume

    def _grid(self, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        points = _GRID_POINTS_PER_CELL * lattice_size(self.noise, self.control_points)
        finest = 2 if self.diffeomorphic else 1
        return tuple(min(-(-n // finest), points) for n in self._volume(shape))
