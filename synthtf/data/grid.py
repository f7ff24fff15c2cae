"""Grids of voxels in space, and their voxel-to-world affines."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synthtf.data.volumes import Volume

_SLAB_POINTS = 2**20  # points to process at a time: about 100 MB with intermediate results
# A hundredth of a voxel: more than rounding in any header, and too little to matter.
_GRID_TOLERANCE = 0.01
_SMALLEST_RATIO = 1e-6  # ratio of singular values below which a matrix counts as singular


@dataclass(frozen=True, eq=False)
class Grid:
    """Shape and voxel-to-world affine of an image, without its values.

    Attributes:
        shape: number of voxels per axis; the third is 1 for a 2D image.
        affine: voxel-to-world affine, `(4, 4)` float64, to RAS in mm.

    Raises:
        ValueError: if the shape is not three positive integers, or the affine is not `(4, 4)`,
            finite and invertible.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    def __post_init__(self) -> None:
        """Check shape and affine."""
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1 or shape != tuple(self.shape):
            raise ValueError(
                f"`shape` must be three positive whole numbers. Received: shape={self.shape}"
            )
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", invertible(self.affine))

    @classmethod
    def of(cls, volume: "Volume | Grid") -> "Grid":
        """Return the grid of a volume; a 2D image counts as a slice one voxel thick.

        Args:
            volume: 2D or 3D, with or without frames. A grid is returned as it is.
        """
        if isinstance(volume, Grid):
            return volume
        affine = volume.affine
        if volume.ndim == 2 and abs(np.linalg.det(affine[:3, :3])) < 1e-6:
            # The header of a 2D image may leave the column of the third axis empty.
            affine = affine.copy()
            normal = np.cross(affine[:3, 0], affine[:3, 1])
            affine[:3, 2] = normal / np.linalg.norm(normal)
        return cls((*volume.shape, 1)[:3], affine)

    def slabs(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Go through the voxels in slabs along the first axis, to bound memory.

        Yields:
            The slice of the first axis, and the points of its voxels in mm, `(n, y, z, 3)`.
        """
        num_x, num_y, num_z = self.shape
        step = max(1, _SLAB_POINTS // (num_y * num_z))
        matrix, offset = self.affine[:3, :3], self.affine[:3, 3]
        plane = np.stack(np.meshgrid(np.arange(num_y), np.arange(num_z), indexing="ij"), -1)
        plane = plane @ matrix[:, 1:].T + offset
        for start in range(0, num_x, step):
            rows = np.arange(start, min(start + step, num_x))
            yield (
                slice(start, start + len(rows)),
                plane + (rows[:, None] * matrix[:, 0])[:, None, None],
            )

    def to_voxels(self, points: np.ndarray) -> np.ndarray:
        """Return the voxel coordinates `(..., 3)` of points `(..., 3)` in mm."""
        return apply_matrix(np.linalg.inv(self.affine), points)


def check_same_grid(volume: Volume, other: Volume) -> None:
    """Refuse two volumes whose voxels are not at the same places.

    Args:
        volume: volume.
        other: volume.

    Raises:
        ValueError: if the shapes differ, or a corner lies elsewhere by a hundredth of a voxel.
    """
    names = f"{volume.name} and {other.name}"
    shapes = volume.data.shape, other.data.shape
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"the volumes must be on the same grid; {names} have the shapes {shapes[0]} and "
            f"{shapes[1]}: resample one of them"
        )
    corners = np.array(list(np.ndindex(*[2] * len(shapes[0])))) * (np.array(shapes[0]) - 1)
    ndim = corners.shape[1]
    difference = np.asarray(volume.affine) - np.asarray(other.affine)
    distance = np.linalg.norm(corners @ difference[:3, :ndim].T + difference[:3, 3], axis=1).max()
    if not distance <= _GRID_TOLERANCE * min(other.spacing):
        raise ValueError(
            f"the volumes must be on the same grid; the affines of {names} put a corner "
            f"{distance:.3g} mm apart: resample one of them"
        )


def invertible(matrix: np.ndarray) -> np.ndarray:
    """Return an affine matrix as a new `(4, 4)` float64 array.

    Args:
        matrix: `(4, 4)`, with the last row `(0, 0, 0, 1)`.

    Raises:
        ValueError: if it is not `(4, 4)`, finite, affine and invertible.
    """
    matrix = np.array(matrix, np.float64)
    if matrix.shape != (4, 4):
        raise ValueError(f"the affine must have the shape (4, 4). Received: {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"the affine must be finite. Received: {matrix.tolist()}")
    if np.abs(matrix[3] - (0, 0, 0, 1)).max() > 1e-6:
        raise ValueError(
            f"the last row of the affine must be 0 0 0 1. Received: {matrix[3].tolist()}"
        )
    scales = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    if scales[-1] <= _SMALLEST_RATIO * scales[0]:
        raise ValueError(f"the affine must be invertible. Received: {matrix[:3].tolist()}")
    matrix[3] = 0, 0, 0, 1
    return matrix


def apply_matrix(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply an affine matrix to points.

    Args:
        matrix: affine in homogeneous coordinates, `(4, 4)`.
        points: `(..., 3)`.

    Returns:
        Points of the same shape.

    Example:
        >>> apply_matrix(np.diag([2, 1, 1, 1]), np.ones((1, 3))).tolist()
        [[2.0, 1.0, 1.0]]
    """
    return points @ matrix[:3, :3].T + matrix[:3, 3]
