"""Affine matrices, `(batch, ndim + 1, ndim + 1)`, from output to input voxels."""

from typing import Any

import numpy as np
from keras import ops

from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.linear import matrix_product
from synthtf.ops.matrices import geometric_mean

Tensor = Any

_ANCHOR = 1e-5  # weight of points that hold a fit at the identity, against 1 for all others


def affine_matrix(translation: Tensor, rotation: Tensor, scaling: Tensor, shear: Tensor) -> Tensor:
    """Build `A = T R Z E` from its parameters.

    `R = Rx Ry Rz` in 3D; `Z` is diagonal; `E` is upper unitriangular with the
    shears in the order (01, 02, 12). The convention is VoxelMorph's.

    Args:
        translation: `(batch, ndim)`.
        rotation: degrees, `(batch, 3)` in 3D and `(batch, 1)` in 2D.
        scaling: `(batch, ndim)`.
        shear: `(batch, 3)` in 3D and `(batch, 1)` in 2D.

    Returns:
        float32 tensor of shape `(batch, ndim + 1, ndim + 1)`.
    """
    ndim = translation.shape[-1]
    linear = matrix_product(_rotation(rotation) * scaling[:, None], _shear(shear, ndim))
    return homogeneous(ops.concatenate([linear, translation[..., None]], axis=-1))


def homogeneous(matrix: Tensor) -> Tensor:
    """Append the row `(0, ..., 0, 1)` to matrices of shape `(batch, ndim, ndim + 1)`."""
    ndim = matrix.shape[-2]
    last = ops.zeros_like(matrix[:, :1]) + np.eye(ndim + 1, dtype="float32")[-1]
    return ops.concatenate([matrix, last], axis=1)


def _rotation(angles: Tensor) -> Tensor:
    """Rotation matrices from angles in degrees."""
    radians = ops.cast(angles, "float32") * (np.pi / 180)
    c, s = in_whole_vectors(ops.cos, radians), in_whole_vectors(ops.sin, radians)
    if angles.shape[-1] == 1:
        return _matrix([[c[:, 0], -s[:, 0]], [s[:, 0], c[:, 0]]])
    one, zero = ops.ones_like(c[:, 0]), ops.zeros_like(c[:, 0])
    x = _matrix([[one, zero, zero], [zero, c[:, 0], -s[:, 0]], [zero, s[:, 0], c[:, 0]]])
    y = _matrix([[c[:, 1], zero, s[:, 1]], [zero, one, zero], [-s[:, 1], zero, c[:, 1]]])
    z = _matrix([[c[:, 2], -s[:, 2], zero], [s[:, 2], c[:, 2], zero], [zero, zero, one]])
    return matrix_product(matrix_product(x, y), z)


def _shear(shear: Tensor, ndim: int) -> Tensor:
    one, zero = ops.ones_like(shear[:, 0]), ops.zeros_like(shear[:, 0])
    rows = [[one if i == j else zero for j in range(ndim)] for i in range(ndim)]
    for k, (i, j) in enumerate(zip(*np.triu_indices(ndim, 1), strict=True)):
        rows[i][j] = shear[:, k]
    return _matrix(rows)


def _matrix(rows: list[list[Tensor]]) -> Tensor:
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=-2)


def in_voxels(matrix: Tensor, spacing: tuple[float, ...]) -> Tensor:
    """Convert an affine matrix in mm into one in voxels.

    Args:
        matrix: `(batch, ndim + 1, ndim + 1)`, mapping mm to mm along the voxel axes.
        spacing: mm per voxel and axis.

    Returns:
        Tensor of the same shape, `S⁻¹ A S`.
    """
    scale = np.array([*spacing, 1.0], "float32")
    return matrix * (scale[None, :] / scale[:, None])


def invert_affine(matrix: Tensor) -> Tensor:
    """Invert affine matrices of shape `(batch, ndim + 1, ndim + 1)`."""
    return ops.linalg.inv(matrix)


def fit_affine(source: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Fit the affine matrix that takes `target` to `source`, by weighted least squares.

    Minimises `Σ w |M [target; 1] - source|²` in closed form.

    Args:
        source: `(batch, points, ndim)`.
        target: `(batch, points, ndim)`.
        weights: `(batch, points)`, non-negative. None: all one.

    Returns:
        float32 tensor of shape `(batch, ndim + 1, ndim + 1)`.
    """
    x = ops.concatenate([target, ops.ones_like(target[..., :1])], axis=-1)
    weighted = x if weights is None else x * weights[..., None]
    transposed = ops.transpose(weighted, (0, 2, 1))
    solution = ops.linalg.solve(ops.matmul(transposed, x), ops.matmul(transposed, source))
    return homogeneous(ops.transpose(solution, (0, 2, 1)))


def fit_affine_both_ways(source: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Fit as `fit_affine` in both directions and average: swapping the points inverts the matrix.

    Args:
        source: `(batch, points, ndim)`.
        target: `(batch, points, ndim)`.
        weights: `(batch, points)`, non-negative. None: all one.

    Returns:
        float32 tensor of shape `(batch, ndim + 1, ndim + 1)`.
    """
    forward = fit_affine(source, target, weights)
    backward = fit_affine(target, source, weights)
    return geometric_mean(forward, invert_affine(backward))


def with_anchors(source: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Append points that correspond by the identity, with next to no weight.

    They decide a fit only where the others leave it open, as where there are too few.

    Args:
        source: `(batch, points, ndim)`, about the centre, in units of the size of the volume.
        target: tensor of the same shape.
        weights: `(batch, points)`, of a sum of about 1.

    Returns:
        The three, with `2 · ndim` points more.
    """
    ndim = source.shape[-1]
    corners = np.concatenate([np.eye(ndim), -np.eye(ndim)]).astype("float32") / 2
    anchors = ops.broadcast_to(corners, (ops.shape(source)[0], *corners.shape))
    low = ops.full((ops.shape(source)[0], 2 * ndim), _ANCHOR)
    return (
        ops.concatenate([source, anchors], axis=1),
        ops.concatenate([target, anchors], axis=1),
        ops.concatenate([weights, low], axis=1),
    )
