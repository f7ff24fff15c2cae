"""Random motion between slices."""

import math
from typing import Annotated, Any, Literal

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Axes, Limits, Millimetres, PositiveMillimetres, Spacing
from synthtf.layers.axes import as_line, axes_of, draw_axis, is_axis
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.ops.affine import affine_matrix
from synthtf.ops.linear import matrix_product
from synthtf.ops.resampling import axis_grid, resample
from synthtf.ops.slices import slice_index
from synthtf.ranges import Range, WholeRange, per_axis

# A smooth motion changes direction about this often during a scan.
_CONTROL_POINTS = 8


@keras.saving.register_keras_serializable(package="synthtf")
class RandomSliceMotion(RandomLayer):
    """Move the subject between the slices of a stack, in and through the plane.

    Each slice across a random axis shows the image moved by a rigid pose of its own. With the
    pose `A_s = T_s R_s` of the slice `s(x)` of voxel `x`, about the centre of the volume,
    `y(x) = image(A_s(x) x)`: one displacement field, one interpolation. Outside, it is zero.

    Slices are acquired in `N` interleaves: `0, N, 2N, ...`, then `1, N + 1, ...`. Components of a
    pose are `a u`, where the amplitude `a` is drawn per sample and `u` lies in [-1, 1]: a
    piecewise linear function of time through 8 uniform points ("smooth"), uniform numbers per
    interleave ("interleave"), as for a subject who moves between them, or per slice ("slice").
    Slices that are close in space but not in time then do not match: serrated edges.

    Slices here have a thickness, but no profile; `RandomSlices` adds it afterwards. The two layers
    draw independently: for slices across the same axis, name one axis in the `axes` of both.

    Args:
        thickness: `(low, high)`, mm, thickness of a slice; drawn per sample.
        translation: `(low, high)`, mm, largest translation along each axis; drawn per sample.
        rotation: `(low, high)`, degrees, largest rotation about each axis; drawn per sample.
        num_interleaves: `(low, high)`, number of interleaves; drawn per sample.
        motion: "smooth", "interleave" or "slice".
        axes: spatial axes that slices may lie across, one is drawn per sample. Default: all.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float. Label maps are not moved: a network
        learns to undo the motion.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds, the motion is unknown, or an axis
            does not exist.

    Example:
    >>> import numpy as np
    >>> image = np.tile(np.arange(12, dtype="float32"), (12, 1))[None, ..., None]
    >>> layer = RandomSliceMotion(rotation=0, motion="slice", axes=[0], seed=1)
    >>> moved = np.asarray(layer(image))  # the rows of the image no longer match
    >>> bool(np.std(image[0, :, 6]) == 0), bool(np.std(moved[0, :, 6]) > 0)
    (True, True)

    Reference: Hou et al., 3-D reconstruction in canonical co-ordinate space from arbitrarily
        oriented 2-D images, IEEE TMI 2018; Xu et al., SVoRT: iterative transformer for
        slice-to-volume registration in fetal brain MRI, MICCAI 2022.
    """

    def __init__(
        self,
        thickness: PositiveMillimetres = (2, 4),
        translation: Millimetres = (0, 3),
        rotation: Annotated[Range, Limits(0, 180, "degrees")] = (0, 5),
        num_interleaves: Annotated[WholeRange, Limits(1, 64)] = (1, 4),
        motion: Literal["smooth", "interleave", "slice"] = "smooth",
        axes: Axes | None = None,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            thickness=thickness,
            translation=translation,
            rotation=rotation,
            num_interleaves=num_interleaves,
            motion=motion,
            axes=axes,
            spacing=spacing,
            **kwargs,
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the stack, amplitudes in mm and degrees, and "shift" and "turn" in [-1, 1]."""
        ndim = len(shape) - 2
        poses = self._num_poses(shape)
        return {
            "axis": draw_axis(key, self.axes, shape),
            "thickness": self.uniform(key, "thickness", self.thickness),
            "phase": random.uniform(random.fold_in(key, "phase"), ()),
            "num_interleaves": random.integers(
                random.fold_in(key, "num_interleaves"), (), *self.num_interleaves
            ),
            "translation": self.uniform(key, "translation", self.translation),
            "rotation": self.uniform(key, "rotation", self.rotation),
            "shift": self.uniform(key, "shift", (-1.0, 1.0), (poses, ndim)),
            "turn": self.uniform(key, "turn", (-1.0, 1.0), (poses, ndim * (ndim - 1) // 2)),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Build the field from the pose of each slice, and resample once."""
        image = as_image(inputs)
        spacing = per_axis(self.spacing, len(image.shape) - 2)
        terms: list[list[Tensor]] = [[] for _ in spacing]
        for axis in axes_of(self.axes, image.shape):
            # Samples whose slices lie across another axis do not move here.
            pose = self._poses(draws, axis, image.shape[axis + 1], spacing[axis])
            here = expand(is_axis(draws["axis"], axis), pose)
            pose = ops.where(here, pose, ops.eye(len(spacing) + 1, dtype="float32"))
            for i, term in enumerate(_displacement(pose, axis, image.shape[1:-1], spacing)):
                terms[i] += term
        field = ops.stack([_sum_planes(part) for part in terms], axis=-1)
        return resample(image, field, fill=0.0)

    def _poses(self, draws: dict[str, Tensor], axis: int, size: int, mm: float) -> Tensor:
        """Rigid matrices in mm of each position along an axis, `(batch, size, n + 1, n + 1)`."""
        place = self._place(draws, size, mm)
        poses = draws["shift"].shape[1]
        weight = ops.relu(1.0 - ops.abs(place[..., None] - ops.arange(poses, dtype="float32")))
        amplitude = {name: draws[name][:, None, None] for name in ("translation", "rotation")}
        shift = amplitude["translation"] * matrix_product(weight, draws["shift"])
        turn = amplitude["rotation"] * matrix_product(weight, draws["turn"])
        ndim, angles = shift.shape[-1], turn.shape[-1]
        shift, turn = ops.reshape(shift, (-1, ndim)), ops.reshape(turn, (-1, angles))
        matrix = affine_matrix(shift, turn, ops.ones_like(shift), ops.zeros_like(turn))
        return ops.reshape(matrix, (-1, size, ndim + 1, ndim + 1))

    def _place(self, draws: dict[str, Tensor], size: int, mm: float) -> Tensor:
        """Return the pose, or the two poses to interpolate, of each position along an axis."""
        index = slice_index(draws["thickness"] / mm, draws["phase"], size)
        if self.motion == "slice":
            return ops.minimum(index, draws["shift"].shape[1] - 1.0)
        interleaves = ops.cast(draws["num_interleaves"], "float32")[:, None]
        number = ops.floor(index / interleaves)
        interleave = index - interleaves * number
        if self.motion == "interleave":
            return interleave
        # The largest number counts from zero, and is that of the longest interleave.
        per_interleave = ops.max(number, axis=1, keepdims=True) + 1.0
        time = (interleave + number / per_interleave) / interleaves
        return time * (_CONTROL_POINTS - 1)

    def _num_poses(self, shape: tuple[int | None, ...]) -> int:
        """Return the number of poses to draw per sample, enough for any draw."""
        if self.motion == "smooth":
            return _CONTROL_POINTS
        if self.motion == "interleave":
            return self.num_interleaves[1]
        spacing = per_axis(self.spacing, len(shape) - 2)
        lengths = [(shape[d + 1] - 1) * spacing[d] for d in axes_of(self.axes, shape)]
        return math.floor(max(lengths) / self.thickness[0]) + 2


def _displacement(
    pose: Tensor, axis: int, shape: tuple[int, ...], spacing: tuple[float, ...]
) -> list[list[Tensor]]:
    """Return displacements in voxels from poses in mm that change along one axis only.

    Returns:
        For each component, terms that depend on that axis and one more, to be added up.
    """
    ndim = len(shape)
    offset = [
        (axis_grid(n, d, ndim) - (n - 1) / 2) * mm
        for d, (n, mm) in enumerate(zip(shape, spacing, strict=True))
    ]
    others = [d for d in range(ndim) if d != axis]
    parts = []
    for i in range(ndim):

        def line(j: int, i: int = i) -> Tensor:
            slope = pose[:, :, i, j] - (1.0 if i == j else 0.0)
            return as_line(slope, axis, ndim) / spacing[i]

        terms = [line(j) * offset[j] for j in others]
        terms[0] = terms[0] + (line(axis) * offset[axis] + line(ndim))
        parts.append(terms)
    return parts


def _sum_planes(terms: list[Tensor]) -> Tensor:
    """Add up terms that lie in planes, those of the same plane first: few full-size passes."""
    planes: dict[tuple, Tensor] = {}
    for term in terms:
        plane = tuple(term.shape[1:])
        planes[plane] = planes[plane] + term if plane in planes else term
    return sum(list(planes.values())[1:], start=next(iter(planes.values())))
