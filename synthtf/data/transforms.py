"""Spatial transforms between images, as functions of points in mm.

A transform maps points of the *fixed* image to points of the *moving* image, which is resampled
on the grid of the fixed image: `moved(x) = moving(transform(x))`, as in ITK. Points are RAS scanner
coordinates in mm on both sides, so that a transform does not depend on the voxels of the images.
Images pass transforms in the opposite order and direction to points.
"""

import abc
import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from synthtf.data.grid import Grid, apply_matrix, invertible
from synthtf.data.resampling import sample

_TOLERANCE = 1e-3  # mm; error at which the inversion of a displacement stops
_FAR = 0.1  # mm; larger errors of an inverse are reported
_PLAIN_STEPS, _MAX_STEPS = 20, 100


class Transform(abc.ABC):
    """Map from points of the fixed image to points of the moving image, in RAS mm.

    Attributes:
        fixed: grid of the fixed image, or None if unknown.
        moving: grid of the moving image, or None if unknown.
    """

    fixed: Grid | None
    moving: Grid | None

    @abc.abstractmethod
    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points of the fixed image, `(..., 3)` in mm, to the moving image, float64."""

    @abc.abstractmethod
    def inverse(self) -> "Transform":
        """Return the transform from the moving to the fixed image."""

    def inverse_at(self, points: np.ndarray) -> np.ndarray:
        """Map points of the moving image, `(..., 3)` in mm, to the fixed image, float64."""
        return self.inverse()(points)


@dataclass(frozen=True, eq=False)
class Affine(Transform):
    """Transform `x -> A x + b`.

    Attributes:
        matrix: `(4, 4)` float64, from RAS mm of the fixed to RAS mm of the moving image.
        fixed: grid of the fixed image, or None if unknown.
        moving: grid of the moving image, or None if unknown.

    Raises:
        ValueError: if the matrix is not `(4, 4)`, finite, affine and invertible.

    Example:
        >>> Affine(np.diag([2, 1, 1, 1]))(np.ones(3)).tolist()
        [2.0, 1.0, 1.0]
    """

    matrix: np.ndarray
    fixed: Grid | None = None
    moving: Grid | None = None

    def __post_init__(self) -> None:
        """Check the matrix."""
        object.__setattr__(self, "matrix", invertible(self.matrix))

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points of the fixed image."""
        return apply_matrix(self.matrix, _as_points(points))

    def inverse(self) -> "Affine":
        """Return the exact inverse."""
        return Affine(np.linalg.inv(self.matrix), self.moving, self.fixed)


@dataclass(frozen=True, eq=False)
class Displacement(Transform):
    """Transform `x -> x + u(x)`, where `u` is interpolated linearly on a grid.

    Outside of the grid, the displacement is that of the closest point of its border, where ITK
    takes zero.

    Attributes:
        field: displacement field, `(x, y, z, 3)` float32, RAS in mm.
        affine: voxel-to-world affine of the field, `(4, 4)` float64, to RAS in mm.
        fixed: grid of the fixed image, or None if unknown; it may differ from that of the field.
        moving: grid of the moving image, or None if unknown.

    Raises:
        ValueError: if the field is not `(x, y, z, 3)` and finite, or the affine is not invertible.
    """

    field: np.ndarray
    affine: np.ndarray
    fixed: Grid | None = None
    moving: Grid | None = None

    def __post_init__(self) -> None:
        """Check field and affine."""
        field = np.asarray(self.field)
        if field.ndim != 4 or field.shape[-1] != 3 or not field.size:
            raise ValueError(
                "`field` must have the shape (x, y, z, 3). "
                f"Received: field with shape {field.shape}"
            )
        if field.dtype.kind not in "iuf":
            raise ValueError(f"`field` must be real. Received: field with dtype {field.dtype}")
        with np.errstate(over="ignore"):
            field = field.astype(np.float32, copy=False)
        # The sum is finite if all numbers are, and costs far less than a mask.
        if not np.isfinite(field.sum(dtype=np.float64)):
            raise ValueError("`field` must be finite. Received: field with NaN or infinity")
        object.__setattr__(self, "field", field)
        object.__setattr__(self, "affine", invertible(self.affine))

    @classmethod
    def of(cls, transform: Transform, grid: Grid) -> "Displacement":
        """Sample any transform at the voxels of a grid.

        Args:
            transform: the transform.
            grid: grid of the new field, usually that of the fixed image.
        """
        field = np.empty((*grid.shape, 3), np.float32)
        for rows, points in grid.slabs():
            field[rows] = transform(points) - points
        return cls(field, grid.affine, grid, transform.moving)

    @property
    def grid(self) -> Grid:
        """Grid of the field."""
        return Grid(self.field.shape[:3], self.affine)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points of the fixed image."""
        points = _as_points(points)
        return points + self._displacement(points)

    def inverse(self) -> "Displacement":
        """Return the inverse on the grid of this field, by fixed-point iteration.

        Warns:
            UserWarning: if the iteration fails somewhere, for example where the field folds.

        Reference:
            Chen et al., "A simple fixed-point approach to invert a deformation field", Medical
            Physics, 2008. Points where the plain iteration does not converge are damped.
        """
        inverse = np.empty_like(self.field)
        num_far = 0
        for rows, points in self.grid.slabs():
            inverse[rows], far = self._solve(points)
            num_far += far
        _report(num_far, math.prod(self.field.shape[:3]))
        return Displacement(inverse, self.affine, self.moving, self.fixed)

    def inverse_at(self, points: np.ndarray) -> np.ndarray:
        """Map points of the moving image, each solved directly instead of through a grid."""
        points = _as_points(points)
        displacement, num_far = self._solve(points)
        _report(num_far, points[..., 0].size)
        return points + displacement

    def _displacement(self, points: np.ndarray) -> np.ndarray:
        voxels = self.grid.to_voxels(points.reshape(-1, 3)).T
        return sample(self.field, voxels).reshape(points.shape)

    def _solve(self, points: np.ndarray) -> tuple[np.ndarray, int]:
        """Solve `v = -u(x + v)` at points; return v and the number of points far off."""
        flat = points.reshape(-1, 3)
        solution = np.zeros_like(flat)
        active = np.arange(len(flat))
        error = np.zeros(len(flat))
        for step in range(_MAX_STEPS):
            change = -self._displacement(flat[active] + solution[active]) - solution[active]
            error[active] = np.abs(change).max(-1, initial=0)
            # Where the field expands by more than a factor of two, only smaller steps converge.
            solution[active] += change if step < _PLAIN_STEPS else change / 2
            active = active[error[active] > _TOLERANCE]
            if not active.size:
                break
        return solution.reshape(points.shape), int(np.count_nonzero(error > _FAR))


@dataclass(frozen=True, eq=False)
class Chain(Transform):
    """Several transforms in the order in which an image passes them.

    Points of the fixed image go through them from the last to the first:
    `Chain((a, b))(x) = a(b(x))`.

    Attributes:
        transforms: the transforms, at least one.

    Raises:
        ValueError: if there is none.
    """

    transforms: tuple[Transform, ...]

    def __post_init__(self) -> None:
        """Check that there is one."""
        object.__setattr__(self, "transforms", tuple(self.transforms))
        if not self.transforms:
            raise ValueError("`transforms` must hold at least one. Received: transforms=()")

    @property
    def fixed(self) -> Grid | None:
        """Grid of the fixed image of the last transform."""
        return self.transforms[-1].fixed

    @property
    def moving(self) -> Grid | None:
        """Grid of the moving image of the first transform."""
        return self.transforms[0].moving

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Map points of the fixed image."""
        for transform in reversed(self.transforms):
            points = transform(points)
        return points

    def inverse(self) -> "Chain":
        """Return the chain of the inverses, in opposite order."""
        return Chain(tuple(transform.inverse() for transform in reversed(self.transforms)))

    def inverse_at(self, points: np.ndarray) -> np.ndarray:
        """Map points of the moving image."""
        for transform in self.transforms:
            points = transform.inverse_at(points)
        return points


def compose(*transforms: Transform) -> Transform:
    """Chain transforms in the order in which an image passes them; neighbouring affines merge.

    Args:
        transforms: at least one; chains among them are taken apart.

    Returns:
        One transform, `compose(a, b)(x) = a(b(x))`; a chain if several are left.

    Raises:
        ValueError: if there is none.

    Example:
        >>> scale, shift = np.diag([2.0, 2, 2, 1]), np.eye(4)
        >>> shift[:3, 3] = 1
        >>> compose(Affine(shift), Affine(scale))(np.ones(3)).tolist()
        [3.0, 3.0, 3.0]
    """
    merged: list[Transform] = []
    for part in _flat(transforms):
        last = merged[-1] if merged else None
        if isinstance(part, Affine) and isinstance(last, Affine):
            merged[-1] = replace(last, matrix=last.matrix @ part.matrix, fixed=part.fixed)
        else:
            merged.append(part)
    return merged[0] if len(merged) == 1 else Chain(tuple(merged))


def _flat(transforms: Iterable[Transform]) -> Iterator[Transform]:
    for transform in transforms:
        if isinstance(transform, Chain):
            yield from _flat(transform.transforms)
        else:
            yield transform


def _as_points(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, np.float64)
    if points.ndim < 1 or points.shape[-1] != 3:
        raise ValueError(
            f"`points` must have the shape (..., 3). Received: points with shape {points.shape}"
        )
    return points


def _report(num_far: int, num: int) -> None:
    if num_far:
        warnings.warn(
            f"the displacement could not be inverted at {num_far:,} of {num:,} points, where "
            f"it folds or expands too much; the inverse has an error above {_FAR} mm there",
            UserWarning,
            stacklevel=3,
        )
