"""Random defacing."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, Millimetres, Proportion, Spacing
from synthtf.label_arguments import as_label_list
from synthtf.layers.base import RandomLayer, Tensor, as_image, as_labels, expand
from synthtf.layers.scene import Scene
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.labels import map_labels
from synthtf.ops.noise import upsample_lattice
from synthtf.ops.resampling import axis_grid
from synthtf.ranges import Range, per_axis

# Points per axis of the lattice that makes the surface rough, with bumps of a few cm on a head.
_ROUGHNESS_POINTS = 6
_FAR = 1e6


def _as_orientation(value: Any, name: str) -> str:
    letters = str(value).upper()
    if len(letters) > 3 or not set(letters) <= set("RLAPSI") or not _directions(letters):
        raise ValueError(
            f'`{name}` must name each axis once, by letters such as "RAS". '
            f"Received: {name}={value!r}"
        )
    return letters


def _directions(orientation: str) -> tuple[tuple[int, int], ...]:
    """Return the axes that point to the front and up, each with 1, or -1 if it points away."""
    pairs = [[(k, c) for k, c in enumerate(orientation) if c in pair] for pair in ("AP", "IS")]
    if any(len(found) != 1 for found in pairs):
        return ()
    return tuple((k, 1 if c in "AI" else -1) for ((k, c),) in pairs)


@keras.saving.register_keras_serializable(package="synthtf")
class RandomDeface(RandomLayer):
    """Remove the face in front of and below a plane that just misses the brain.

    The plane's normal `n` points forward and down, by a random angle below the horizontal. The
    brain reaches up to `b = max n·x` over its labels, and all voxels with `n·x > b + m + r(x)`
    are removed: `m` is a margin in front of the brain, and `r` a smooth random field, linear
    between 6 uniform points per axis, which makes the surface uneven. Brain is never removed; a
    sample without brain keeps its face.

    Args:
        labels: label values of the brain.
        margin: `(low, high)`, mm between brain and plane; drawn per sample.
        angle: `(low, high)`, degrees, angle of the normal below the horizontal: 0 cuts straight
            down in front of the brain, 90 horizontally below it; drawn per sample.
        roughness: `(low, high)`, mm, largest value of `r`; drawn per sample.
        fill: `(low, high)`, largest intensity of the uniform noise that replaces the face, as a
            share of the largest of the sample; drawn per sample. Zero leaves no noise.
        orientation: anatomical direction of increasing voxel number of each axis, such as "RAS",
            or "AS" for sagittal slices.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `[image, labels]`: float `(batch, *spatial, channels)` and integer
        `(batch, *spatial, 1)`.
    Output shape: that of the image, float32. The label map stays as it is: networks learn to
        label what remains.

    Raises:
        ValueError: if a range is reversed or out of bounds, no label is given or one is not
            above zero, or the orientation lacks an axis or does not fit the input.

    Example:
    >>> import numpy as np
    >>> labels = np.zeros((1, 6, 6, 1), "int32")
    >>> labels[0, 1:3, 3:5] = 7
    >>> image = np.ones((1, 6, 6, 1), "float32")
    >>> layer = RandomDeface([7], margin=1, angle=0, roughness=0, orientation="AS")
    >>> np.asarray(layer([image, labels]))[0, :, 0, 0].tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]

    Reference: Schimke and Hale, Quickshear defacing for neuroimages, HealthSec 2011.
    """

    takes, from_table, hides = ("image", "view"), ("labels",), True

    def __init__(
        self,
        labels: Annotated[Sequence[int], partial(as_label_list, minimum=1)] | None = None,
        margin: Millimetres = (2, 15),
        angle: Annotated[Range, Limits(0, 90, "degrees")] = (10, 50),
        roughness: Millimetres = (0, 10),
        fill: Proportion = 0,
        orientation: Annotated[str, _as_orientation] = "RAS",
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            labels=labels,
            margin=margin,
            angle=angle,
            roughness=roughness,
            fill=fill,
            orientation=orientation,
            spacing=spacing,
            **kwargs,
        )
        self._directions = _directions(self.orientation)

    def bind(self, scene: Scene) -> dict[str, Any] | None:
        """Find the brain. A slice has no face: the step is left out in 2D."""
        if len(scene.shape) != len(self.orientation):
            return None
        labels = scene.brain(self.name) if self.labels is None else self.labels
        return {**super().bind(scene), "labels": labels}

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the plane, the lattice of its roughness, and noise if there is any."""
        ndim = len(shape) - 2
        if ndim != len(self.orientation):
            raise ValueError(
                f"{self.name}: `orientation` must have one letter per axis. "
                f"Received: orientation={self.orientation!r}, input of shape {shape}"
            )
        lattice = (*(_ROUGHNESS_POINTS,) * ndim, 1)
        draws = {
            "margin": self.uniform(key, "margin", self.margin),
            "angle": self.uniform(key, "angle", self.angle),
            "roughness": self.uniform(key, "roughness", self.roughness),
            "lattice": random.uniform(random.fold_in(key, "lattice"), lattice),
        }
        if self.fill[1] > 0:
            draws["fill"] = self.uniform(key, "fill", self.fill)
            draws["noise"] = random.uniform(random.fold_in(key, "noise"), tuple(shape[1:]))
        return draws

    def transform(self, inputs: list[Tensor], draws: dict[str, Tensor]) -> Tensor:
        """Remove everything beyond the plane."""
        image, labels = as_image(inputs[0]), as_labels(inputs[1])
        shape = image.shape[1:-1]
        height = self._height(draws["angle"], shape)
        brain = map_labels(labels, dict.fromkeys(self.labels, 1))[..., 0]
        # Height does not change across the plane of the two directions.
        across = {1 + d for d in range(len(shape))} - {1 + d for d, _ in self._directions}
        brain = ops.max(brain, axis=tuple(across), keepdims=True) if across else brain
        axes = tuple(range(1, len(shape) + 1))
        furthest = ops.max(ops.where(brain > 0, height, -_FAR), axis=axes)
        furthest = ops.where(furthest > -_FAR, furthest, _FAR)
        limit = expand(furthest + draws["margin"], height)
        if self.roughness[1] > 0:
            points = ops.full((1, len(shape)), _ROUGHNESS_POINTS, "int32")
            rough = upsample_lattice(draws["lattice"], points, shape)[..., 0]
            limit = limit + expand(draws["roughness"], rough) * rough
        kept = (height <= limit)[..., None]
        if "noise" not in draws:
            return ops.where(kept, image, 0.0)
        largest = ops.max(image, axis=tuple(range(1, len(image.shape))))
        noise = expand(draws["fill"] * largest, image) * draws["noise"]
        return ops.where(kept, image, noise)

    def _height(self, angle: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return how far forward and down voxels lie, `n·x` in mm, as `(batch, *spatial)`."""
        radians = angle[:, None] * (np.pi / 180)
        parts = (in_whole_vectors(ops.cos, radians), in_whole_vectors(ops.sin, radians))
        spacing, height = per_axis(self.spacing, len(shape)), 0.0
        for part, (axis, sign) in zip(parts, self._directions, strict=True):
            mm = sign * spacing[axis] * axis_grid(shape[axis], axis, len(shape))
            height = height + expand(part[:, 0], mm) * mm
        return height

    def identity(self, inputs: list[Tensor]) -> Tensor:
        """Keep the image."""
        return as_image(inputs[0])

    def output_spec(self, inputs: list[Any]) -> Any:
        """The image."""
        return keras.KerasTensor(inputs[0].shape, "float32")
