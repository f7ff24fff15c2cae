"""Gauss-Newton search for the transform that makes maps of two images alike."""

from dataclasses import dataclass

import numpy as np

from synthtf.inference.registration.matrices import square_root

_SMALL = 0.02  # voxels, at the end of the longest axis: a step that ends the search
_DAMPING = 1e-3
_FLAT = 1e-4
_INSIDE = 0.99
# Voxels that a step looks at: more tell no more about twelve numbers.
_MOST_VOXELS = 50_000


@dataclass(frozen=True)
class Maps:
    """What shall become alike.

    Attributes:
        moving: maps of the moving image, `(x, y, z, features)`.
        fixed: likewise, of the fixed image.
        weights: how much each map counts, `(features,)`.
        moving_seen: where the moving image counts, from 0 to 1, `(x, y, z)`. None: everywhere.
        fixed_seen: likewise, of the fixed image.
    """

    moving: np.ndarray
    fixed: np.ndarray
    weights: np.ndarray
    moving_seen: np.ndarray | None = None
    fixed_seen: np.ndarray | None = None


def fit_transform(
    maps: Maps, matrix: np.ndarray, rigid: bool = False, steps: int = 12
) -> np.ndarray:
    """Improve a transform until the maps of two images differ least.

    The weighted sum of squared differences, where both images count, falls by Gauss-Newton steps
    in the space in the middle, with the mean of the gradients of both images. Swapping the images
    inverts the transform.

    Args:
        maps: of both images.
        matrix: `(4, 4)` from fixed to moving voxels about the centre, where to start.
        rigid: whether the transform shall be a rotation and a translation.
        steps: at most so many.

    Returns:
        `(4, 4)`: of all transforms that were met, that of the least mean difference.

    Reference: Baker and Matthews, Lucas-Kanade 20 years on, IJCV 2004; Benhimane and Malis,
        Real-time image-based tracking of planes using efficient second-order minimization,
        IROS 2004, for the mean of the gradients.
    """
    generators = _generators(max(maps.moving.shape[:3]) / 2, rigid)
    stacks = [_stack(maps.moving, maps.moving_seen), _stack(maps.fixed, maps.fixed_seen)]
    best, least = matrix, np.inf
    for _ in range(steps):
        half = square_root(matrix)
        step, difference = _step(*_halfway(stacks, half), maps.weights, generators)
        if difference < least:
            best, least = matrix, difference
        if step is None or np.abs(step).max() < _SMALL:
            break
        matrix = half @ _exponential(np.tensordot(step, generators, 1)) @ half
    return best


def _stack(maps: np.ndarray, seen: np.ndarray | None) -> np.ndarray:
    """Maps, and where they count as the last one; a batch of one."""
    seen = np.ones(maps.shape[:3], "float32") if seen is None else seen
    return np.concatenate([maps, seen[..., None]], axis=-1, dtype="float32")[None]


def _halfway(
    stacks: list[np.ndarray], half: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both maps in the space in the middle, and where both count."""
    from keras import ops

    from synthtf.ops import resample

    moved = []
    for stack, matrix in zip(stacks, (half, np.linalg.inv(half)), strict=True):
        there = resample(stack, matrix[None].astype("float32"), fill=0.0)
        moved.append(ops.convert_to_numpy(there)[0])
    moving, fixed = moved
    return moving[..., :-1], fixed[..., :-1], np.minimum(moving, fixed)[..., -1] > _INSIDE


def _step(
    moving: np.ndarray,
    fixed: np.ndarray,
    seen: np.ndarray,
    weights: np.ndarray,
    generators: np.ndarray,
) -> tuple[np.ndarray | None, float]:
    """Amount of each generator by which the maps come closer, and how far they are now."""
    slopes = np.stack(np.gradient((moving + fixed) / 2, axis=(0, 1, 2)), -1)
    voxels = np.argwhere(seen & (np.abs(slopes).max(axis=(3, 4)) > _FLAT))
    if len(voxels) < len(generators):
        return None, np.inf
    voxels = voxels[:: -(-len(voxels) // _MOST_VOXELS)]
    where = tuple(voxels.T)
    slopes, rest = slopes[where], (fixed - moving)[where]
    weighted = slopes * weights[:, None]
    # Per voxel: how the difference depends on a displacement, then the displacement on the step.
    curvature = weighted.transpose(0, 2, 1) @ slopes
    force = (weighted.transpose(0, 2, 1) @ rest[..., None])[..., 0]
    points = voxels - (np.array(seen.shape) - 1) / 2
    points = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    moves = np.einsum("kij,nj->nik", generators[:, :3], points)
    hessian = np.einsum("nik,nil->kl", moves, curvature @ moves)
    gradient = np.einsum("nik,ni->k", moves, force)
    damping = _DAMPING * np.trace(hessian) / len(hessian)
    step = np.linalg.solve(hessian + (damping + 1e-12) * np.eye(len(hessian)), gradient)
    return step, float(np.mean(np.square(rest) @ weights))


def _generators(radius: float, rigid: bool) -> np.ndarray:
    """Small changes of a matrix that each move points by about a voxel, `(k, 4, 4)`."""
    units = np.zeros((3, 4, 4, 4))
    for i in range(3):
        for j in range(4):
            units[i, j, i, j] = 1 if j == 3 else 1 / radius
    if not rigid:
        return units.reshape(12, 4, 4)
    turns = [units[i, j] - units[j, i] for i, j in ((0, 1), (0, 2), (1, 2))]
    return np.stack([*units[:, 3], *turns])


def _exponential(matrix: np.ndarray) -> np.ndarray:
    from scipy.linalg import expm

    return expm(matrix)
