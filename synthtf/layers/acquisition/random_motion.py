"""Random motion between the shots of an acquisition."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Axes, Limits, Offset, Proportion, Spacing
from synthtf.layers.axes import draw_axis
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.affine import affine_matrix, in_voxels
from synthtf.ops.kspace import filter_lines, magnitude
from synthtf.ops.resampling import resample
from synthtf.ranges import Range, WholeRange, per_axis


@keras.saving.register_keras_serializable(package="synthtf")
class RandomMotion(RandomLayer):
    """Move the object rigidly between the shots that fill k-space.

    The k-space lines of one random axis are acquired in order, in shots of random lengths.
    The lines of shot `s` come from the image in another pose, `x(T_s)`; the result is
    `|Σ_s F⁻¹ M_s F x(T_s)|`, where `M_s` keeps the lines of that shot. In the shot that holds the
    centre of k-space the object does not move, so that the object as a whole stays in place and
    the labels still fit. The border of the volume continues outside.

    Each shot except that one costs a linear interpolation of the volume and two matrix products.

    Args:
        translation: `(low, high)`, mm; drawn per shot and axis.
        rotation: `(low, high)`, degrees, about the centre of the volume; drawn per shot,
            three angles in 3D and one in 2D.
        num_shots: `(low, high)`, whole numbers, both included; drawn per sample. The lines
            between shots are uniform, and a shot may be empty.
        axes: spatial axes that may be the phase-encoding axis. Default: all.
        severity: `(low, high)`, factor of all movements, in [0, 1]; drawn per sample. From 0, some
            samples hardly move.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float; the result is a magnitude, and negative
        values lose their sign.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed, there is less than one shot, or an axis does not exist.

    Example:
    >>> import numpy as np
    >>> image = np.ones((1, 8, 8, 1), "float32")
    >>> np.round(np.asarray(RandomMotion()(image)).ravel()[:2], 3).tolist()
    [1.0, 1.0]

    Reference: Shaw et al., MRI k-space motion artefact augmentation, MIDL 2019; Pérez-García
        et al., TorchIO, Computer Methods and Programs in Biomedicine 2021.
    """

    def __init__(
        self,
        translation: Offset = (-5, 5),
        rotation: Annotated[Range, Limits(-360, 360, "degrees")] = (-5, 5),
        num_shots: Annotated[WholeRange, Limits(1, 64)] = (2, 6),
        axes: Axes | None = None,
        severity: Proportion = 1.0,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            translation=translation,
            rotation=rotation,
            num_shots=num_shots,
            axes=axes,
            severity=severity,
            spacing=spacing,
            **kwargs,
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the axis, the ends of the shots as proportions of the lines, and the poses."""
        ndim = len(shape) - 2
        moves = max(self.num_shots[1] - 1, 1)
        turns = 1 if ndim == 2 else 3
        translation = self.uniform(key, "translation", self.translation, (moves, ndim))
        rotation = self.uniform(key, "rotation", self.rotation, (moves, turns))
        if self.severity != (1, 1):
            severity = self.uniform(key, "severity", self.severity, (1, 1))
            translation, rotation = translation * severity, rotation * severity
        return {
            "axis": draw_axis(key, self.axes, shape),
            "num_shots": random.integers(random.fold_in(key, "num_shots"), (), *self.num_shots),
            "end": random.uniform(random.fold_in(key, "end"), (moves,)),
            "translation": translation,
            "rotation": rotation,
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Add up the shots, starting with that of the centre of k-space."""
        image = as_image(inputs)
        spacing = per_axis(self.spacing, len(image.shape) - 2)
        shots = [self._shot(draws, size) for size in image.shape[1:-1]]

        def acquire(volume: Tensor, number: Any) -> tuple[Tensor, Tensor]:
            lines = [ops.cast(ops.equal(shot, number), "float32") for shot in shots]
            return filter_lines(volume, lines, draws["axis"])

        def add_shot(number: Tensor, parts: tuple) -> tuple:
            moved = resample(image, self._pose(draws, number - 1, spacing))
            return tuple(x + y for x, y in zip(parts, acquire(moved, number), strict=True))

        num_shots = ops.max(draws["num_shots"])
        parts = ops.fori_loop(1, num_shots, add_shot, acquire(image, 0))
        return magnitude(*parts)

    def _shot(self, draws: dict[str, Tensor], size: int) -> Tensor:
        """Return the number of the shot of each line, counted cyclically from the centre."""
        num_shots = draws["num_shots"][:, None]
        ends = draws["end"].shape[1]
        used = ops.arange(ends, dtype="int32")[None] < num_shots - 1
        # An end that is not used lies behind the last line.
        end = ops.where(used, draws["end"], 2.0)[:, None]
        position = (ops.arange(size, dtype="float32") + 0.5) / size
        shot = ops.sum(ops.cast(end <= position[None, :, None], "int32"), axis=-1)
        return ops.mod(shot - shot[:, size // 2 : size // 2 + 1], num_shots)

    @staticmethod
    def _pose(draws: dict[str, Tensor], move: Tensor, spacing: tuple[float, ...]) -> Tensor:
        translation = ops.take(draws["translation"], move, axis=1)
        rotation = ops.take(draws["rotation"], move, axis=1)
        rigid = affine_matrix(
            translation, rotation, ops.ones_like(translation), ops.zeros_like(rotation)
        )
        return in_voxels(rigid, spacing)
