"""Matrices of transforms between voxels about the centre, `(4, 4)`."""

import numpy as np


def square_root(matrix: np.ndarray) -> np.ndarray:
    """The transform that, done twice, is the given one."""
    from scipy.linalg import sqrtm

    return np.real(sqrtm(matrix))


def nearest_rigid(matrix: np.ndarray) -> np.ndarray:
    """Keep the rotation, and the translation of the centre."""
    from scipy.linalg import polar

    rigid = matrix.copy()
    rigid[:3, :3] = polar(matrix[:3, :3])[0]
    return rigid


def rescaled(matrix: np.ndarray, size: float) -> np.ndarray:
    """The same transform between voxels that are `size` times as large."""
    to_larger = np.diag([1 / size] * 3 + [1.0])
    return to_larger @ matrix @ np.linalg.inv(to_larger)


def pooled(maps: np.ndarray, size: int) -> np.ndarray:
    """Means of maps, `(x, y, z, features)`, over cubes of voxels about the same centre.

    What is left over at the ends is cut off.
    """
    x, y, z = (n // size for n in maps.shape[:3])
    inner = tuple(
        slice((n - m * size) // 2, (n + m * size) // 2)
        for n, m in zip(maps.shape, (x, y, z), strict=False)
    )
    return maps[inner].reshape(x, size, y, size, z, size, -1).mean((1, 3, 5))
