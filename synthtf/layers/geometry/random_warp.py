"""Random displacement fields."""

from typing import Annotated, Any, Literal

import keras
from keras import ops, tree

from synthtf.arguments import Limits, Millimetres, NoisePoints, Octaves, Shape, Spacing
from synthtf.layers.base import RandomLayer, Tensor, expand
from synthtf.layers.noise_field import (
    KINDS,
    draw_noise,
    lattice_size,
    make_noise,
)
from synthtf.layers.scene import Scene
from synthtf.ops.fields import integrate_components
from synthtf.ops.linear import apply_along_axes, upsample_matrix
from synthtf.ops.resampling import upsample
from synthtf.ranges import per_axis

# On more points per cell the flow contracts more than the grid of the volume can show, and the
# warp folds there.
_GRID_POINTS_PER_CELL = 2


@keras.saving.register_keras_serializable(package="synthtf")
class RandomWarp(RandomLayer):
    """Draw a smooth displacement field per sample.

    `v(x) = strength (F(x) - m) / max |F - m|` with a noise field `F`, each component in
    [0, 1], and its mean `m` over the volume: `v` moves no volume as a whole, and its longest
    vector has the length `strength`. If not `diffeomorphic`, `v` is the displacement itself.
    If it is, `v` is a stationary velocity field that is integrated over unit time by scaling
    and squaring, so that the warp has an inverse. What is guaranteed then is that no voxel
    travels farther than `strength`: most leave the fastest place and stay below, and the mean
    displacement is small, not zero.

    The noise is made and integrated on a grid of two points per lattice cell, a velocity on at
    most one per two voxels. The field is then upsampled linearly, and its longest vector may
    come to lie between two voxels. A flow that contracts space beyond what its grid can show
    folds there: at 160³ and 1 mm, at the full strength of 20 mm, about one in 3,000 voxels.

    Args:
        strength: `(low, high)`, mm, length of the longest vector of `v`; drawn per sample.
        control_points: `(low, high)`, of the noise, drawn per sample and axis. Along an axis
            with one, the field is constant.
        noise: "perlin", "value", "gaussian" or "fractal".
        octaves: `(low, high)`, of fractal noise, drawn per sample. An octave with more
            control points than the grid has points is left out.
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

    takes, gives = ("labels",), ("transform",)

    def __init__(
        self,
        strength: Millimetres = (0, 20),
        control_points: NoisePoints = (2, 16),
        noise: Literal[KINDS] = "perlin",
        octaves: Octaves = (1, 5),
        diffeomorphic: bool = True,
        integration_steps: Annotated[int, Limits(0, 20)] = 5,
        spacing: Spacing = 1.0,
        shape: Shape | None = None,
        full_resolution: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            strength=strength,
            control_points=control_points,
            noise=noise,
            octaves=octaves,
            diffeomorphic=diffeomorphic,
            integration_steps=integration_steps,
            spacing=spacing,
            shape=shape,
            full_resolution=full_resolution,
            **kwargs,
        )

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Make the field on its own grid, for images of the recipe's shape."""
        return {**super().bind(scene), "shape": scene.shape, "full_resolution": False}

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the strength (mm) and the random numbers of the noise."""
        grid = self._grid(shape)
        draws = draw_noise(key, self.noise, self.control_points, grid, len(grid), self.octaves)
        return {**draws, "strength": self.uniform(key, "strength", self.strength)}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Make the field, integrate it and upsample it."""
        shape = tuple(tree.flatten(inputs)[0].shape)
        grid, volume = self._grid(shape), self._volume(shape)
        field = _centred(make_noise(draws, self.noise, grid), volume)
        field = field * expand(draws["strength"], field)
        step = [(n - 1) / max(m - 1, 1) for n, m in zip(volume, grid, strict=True)]
        scale = [
            1 / (s * mm) for s, mm in zip(step, per_axis(self.spacing, len(grid)), strict=True)
        ]
        parts = [field[..., d] * scale[d] for d in range(len(grid))]
        if self.diffeomorphic:
            parts = integrate_components(parts, self.integration_steps, fuse=True)
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
        points = _GRID_POINTS_PER_CELL * lattice_size(self.noise, self.control_points, self.octaves)
        voxels = 2 if self.diffeomorphic else 1
        return tuple(min(-(-n // voxels), points) for n in self._volume(shape))


def _centred(field: Tensor, volume: tuple[int, ...]) -> Tensor:
    """Give a field the mean zero over a volume that it is upsampled to, and unit length at most."""
    grid = tuple(field.shape[1:-1])
    weights = [
        ops.mean(upsample_matrix(ops.convert_to_tensor([m], "int32"), n, m), axis=1, keepdims=True)
        for n, m in zip(volume, grid, strict=True)
    ]
    field = field - apply_along_axes(field, weights)
    length = ops.sqrt(ops.sum(ops.square(field), axis=-1, keepdims=True))
    longest = ops.max(length, axis=tuple(range(1, len(grid) + 1)), keepdims=True)
    return field / ops.maximum(longest, 1e-7)
