"""Affine matrices, `(4, 4)`, as SynthMorph fits, halves and applies them."""

from collections.abc import Sequence

import numpy as np

_EXACT = 1e-9  # what is as close to a whole number is one


def fit(points: np.ndarray, others: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fit the matrix that takes points to others, by weighted least squares.

    Args:
        points: `(n, 3)`.
        others: `(n, 3)`, where the points should go.
        weights: `(n,)`.

    Raises:
        ValueError: if the points with weight do not span the space.
    """
    known = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    weighted = known.T * weights
    normal = weighted @ known
    if not np.isfinite(normal).all() or np.linalg.matrix_rank(normal) < 4:
        raise ValueError("SynthMorph finds too few common features in the two images")
    matrix = np.eye(4)
    matrix[:3] = np.linalg.solve(normal, weighted @ others).T
    return matrix


def fit_both_ways(moving: np.ndarray, fixed: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fit the matrix that takes points of the fixed image to those of the moving one.

    It is the arithmetic mean of the fit and of the inverse of the fit the other way.

    Args:
        moving: `(n, 3)`.
        fixed: `(n, 3)`, the corresponding points.
        weights: `(n,)`.

    Raises:
        ValueError: if the points with weight do not span the space.
    """
    return (fit(fixed, moving, weights) + np.linalg.inv(fit(moving, fixed, weights))) / 2


def rigid_part(matrix: np.ndarray) -> np.ndarray:
    """Keep translation and rotation of a matrix that is translation, rotation, scaling, shear."""
    linear = matrix[:3, :3]
    scaled_shear = np.linalg.cholesky(linear.T @ linear).T
    scale = np.diag(scaled_shear).copy()
    shear = scaled_shear / scale[:, None]
    if np.linalg.det(linear) < 0:
        scale[0] = -scale[0]
    result = matrix.copy()
    result[:3, :3] = linear @ np.linalg.inv(scale[:, None] * shear)
    return result


def square_root(matrix: np.ndarray) -> np.ndarray:
    """The matrix that, applied twice, is the given one.

    Raises:
        ValueError: if there is none of real numbers, as for a half turn or a flip.
    """
    from scipy.linalg import sqrtm

    root = np.asarray(sqrtm(matrix))
    if not np.isfinite(root).all() or np.abs(np.imag(root)).max() > 1e-5:
        raise ValueError(
            "the transform has no half: it must not flip or turn by 180 degrees. "
            f"Received: {np.round(matrix, 4).tolist()}"
        )
    return np.real(root)


def about(center: float, matrix: np.ndarray) -> np.ndarray:
    """Turn a matrix for coordinates from a centre into one for coordinates from zero."""
    shift = np.eye(4)
    shift[:3, 3] = center
    return shift @ matrix @ np.linalg.inv(shift)


def exact(matrix: np.ndarray) -> np.ndarray:
    """Round entries that are whole but for rounding errors, so that borders stay inside."""
    whole = np.round(matrix)
    return np.where(np.abs(matrix - whole) < _EXACT, whole, matrix)


def apply(matrix: np.ndarray, points: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Apply a matrix to coordinates, one array per axis."""
    return [
        row[0] * points[0] + row[1] * points[1] + row[2] * points[2] + row[3] for row in matrix[:3]
    ]
