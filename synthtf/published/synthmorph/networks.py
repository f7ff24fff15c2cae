"""What SynthMorph's networks find in a pair of images, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import map_coordinates

from synthtf.inference.patches.memory import ScanBudget
from synthtf.inference.prediction import apply_network
from synthtf.published.synthmorph.matrices import (
    about,
    apply,
    fit_both_ways,
    rigid_part,
    square_root,
)
from synthtf.published.synthmorph.spaces import sample

if TYPE_CHECKING:
    import keras

_DOUBLE = np.diag([2.0, 2, 2, 1])

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Warp:
    """A deformation of coordinates: `after ∘ T ∘ before`.

    `T` takes coordinates in the network's space of full resolution. It is a displacement between
    voxels of twice the size, whose border goes on outwards.

    Attributes:
        before: `(4, 4)`.
        displacement: `(x, y, z, 3)`, from coordinates of half resolution to those of full.
        after: `(4, 4)`.
    """

    before: np.ndarray
    displacement: np.ndarray
    after: np.ndarray

    def __call__(self, points: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Map coordinates, one array per axis."""
        points = np.broadcast_arrays(*apply(self.before, points))
        last = [2 * n - 1 for n in self.displacement.shape[:3]]
        inside = [np.clip(x, 0, n) for x, n in zip(points, last, strict=True)]
        moved = _look_up(self.displacement, [x / 2 for x in inside])
        pairs = zip(points, inside, moved, strict=True)
        return apply(self.after, [x - y / 2 + u for x, y, u in pairs])


def halved(image: np.ndarray) -> np.ndarray:
    """Every second voxel of an image, without blurring."""
    return image[::2, ::2, ::2]


def align(
    detector: "keras.Model", images: Pair, size: int, rigid: bool, budget: ScanBudget | None = None
) -> np.ndarray:
    """Find the matrix from the fixed to the moving image.

    Args:
        detector: from `load_synthmorph_detector`.
        images: moving and fixed image, as the detector sees them.
        size: voxels per axis of the coordinates that the matrix is for.
        rigid: whether only rotation and translation are kept.
        budget: memory that the process may take. None: no limit.

    Returns:
        `(4, 4)`, for coordinates from the centre.

    Raises:
        ValueError: if too few features are in both images.
    """
    found = [_centers(apply_network(detector, image, budget)) for image in images]
    (moving, power), (fixed, other_power) = found
    matrix = fit_both_ways(moving * size, fixed * size, power * other_power)
    return rigid_part(matrix) if rigid else matrix


def _centers(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre of each feature map, as a share of the volume from its middle, and its power."""
    features = features.astype("float64")
    total = features.sum((0, 1, 2))
    divisor = np.where(total > 0, total, 1)
    centers = []
    for axis, n in enumerate(features.shape[:3]):
        profile = features.sum(tuple(other for other in range(3) if other != axis))
        centers.append((np.arange(n) - (n - 1) / 2) / n @ profile / divisor)
    return np.stack(centers, axis=-1), total / (total.sum() or 1)


def deform(
    network: "keras.Model",
    images: Pair,
    steps: int,
    matrix: np.ndarray | None = None,
    budget: ScanBudget | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the deformation from the fixed to the moving image, and back.

    Args:
        network: from `load_synthmorph_deformable`.
        images: moving and fixed image at full resolution.
        steps: squarings that integrate the velocity.
        matrix: from `align`, between coordinates of half resolution. None: no affine transform.
        budget: memory that the process may take. None: no limit.

    Returns:
        Displacements, `(x, y, z, 3)` each, from coordinates of half resolution in one image to
        those of full resolution in the other.

    Raises:
        ValueError: if the matrix has no half.
    """
    extent = len(images[0]) // 2
    halves = [np.eye(4), np.eye(4)]
    seen = [halved(image) for image in images]
    if matrix is not None:
        center = (extent - 1) / 2
        roots = [square_root(each) for each in (matrix, np.linalg.inv(matrix))]
        halves = [about(center, root) for root in roots]
        seen = [sample(i, _DOUBLE @ half, extent) for i, half in zip(images, halves, strict=True)]
    velocity = _velocity(network, seen, budget)
    first, second = (
        _total(_integrated(sign * velocity, steps), half)
        for sign, half in zip((1, -1), halves, strict=True)
    )
    return first, second


def _velocity(
    network: "keras.Model", images: Sequence[np.ndarray], budget: ScanBudget | None
) -> np.ndarray:
    there, back = (
        apply_network(network, np.stack(pair, axis=-1), budget) for pair in (images, images[::-1])
    )
    return (there - back) / 2


def _integrated(velocity: np.ndarray, steps: int) -> np.ndarray:
    from keras import ops

    from synthtf.ops import integrate_velocity

    return np.asarray(ops.convert_to_numpy(integrate_velocity(velocity[None], steps))[0])


def _total(displacement: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Put half of an affine transform on either side of a deformation, and double the result."""
    total = np.empty_like(displacement)
    y, z = np.indices(displacement.shape[1:3], dtype="float64", sparse=True)
    for plane in range(len(displacement)):
        grid = [np.float64(plane), y, z]
        points = np.broadcast_arrays(*apply(half, grid))
        moved = [x + u for x, u in zip(points, _look_up(displacement, points), strict=True)]
        for axis, x in enumerate(apply(_DOUBLE @ half, moved)):
            total[plane, ..., axis] = x - grid[axis]
    return total


def _look_up(field: np.ndarray, points: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Interpolate the components of a field linearly; the border goes on outwards."""
    points = np.stack(points)
    return [
        map_coordinates(field[..., axis], points, order=1, mode="nearest", output="float64")
        for axis in range(3)
    ]
