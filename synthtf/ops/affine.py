"""Affine matrices in homogeneous coordinates, `(batch, ndim + 1, ndim + 1)`.

Each maps output to input voxels, both counted from the centre of the volume.
"""

from typing import Any

import numpy as np
from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.linear import matrix_product
from synthtf.ops.matrices import geometric_mean

Tensor = Any

_ANCHOR = 1e-5  # weight of a point that holds a fit at the identity; the others sum to 1


@takes_arrays
def affine_matrix(translation: Tensor, rotation: Tensor, scaling: Tensor, shear: Tensor) -> Tensor:
    """Build `A = T R Z E` from translation, rotation, scaling and shear.

    `R = Rx Ry Rz` in 3D; `Z` is diagonal; `E` is upper unitriangular with the
    shears in the order (01, 02, 12). The convention is VoxelMorph's.

    Args:
        translation: `(batch, ndim)`, in the unit of the coordinates.
        rotation: `(batch, 3)` in 3D and `(batch, 1)` in 2D, in degrees.
        scaling: `(batch, ndim)`, a ratio; 1 keeps the size.
        shear: `(batch, 3)` in 3D and `(batch, 1)` in 2D; 0 does nothing.

    Returns:
        float32 tensor of shape `(batch, ndim + 1, ndim + 1)`.

    Example:
        >>> from keras import ops
        >>> zero, one = ops.zeros((1, 2)), ops.ones((1, 2))
        >>> matrix = affine_matrix(zero, ops.array([[90.0]]), one, zero[:, :1])
        >>> print(ops.convert_to_numpy(matrix[0, :2]).round(3) + 0.0)
        [[ 0. -1.  0.]
         [ 1.  0.  0.]]

    Reference:
        VoxelMorph's `params_to_affine_matrix`.
    """
    ndim = translation.shape[-1]
    linear = matrix_product(_rotation(rotation) * scaling[:, None], _shear(shear, ndim))
    return homogeneous(ops.concatenate([linear, translation[..., None]], axis=-1))


@takes_arrays
def homogeneous(matrix: Tensor) -> Tensor:
    """Append the row `(0, ..., 0, 1)` to matrices.

    Args:
        matrix: `(batch, ndim, ndim + 1)`, the linear part and the translation.

    Returns:
        Tensor of shape `(batch, ndim + 1, ndim + 1)`.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(homogeneous(ops.array([[[2.0, 5.0]]])))[0].tolist()
        [[2.0, 5.0], [0.0, 1.0]]
    """
    ndim = matrix.shape[-2]
    row = ops.convert_to_tensor(np.eye(ndim + 1, dtype="float32")[-1])
    last = ops.zeros_like(matrix[:, :1]) + row
    return ops.concatenate([matrix, last], axis=1)


def _rotation(angles: Tensor) -> Tensor:
    """Return rotation matrices from angles in degrees."""
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
    """Convert affine matrices in mm into matrices in voxels.

    Args:
        matrix: `(batch, ndim + 1, ndim + 1)`, from mm to mm along the voxel axes.
        spacing: mm per voxel, one per axis.

    Returns:
        Tensor of the same shape, `S⁻¹ A S`.

    Example:
        >>> from keras import ops
        >>> shift = ops.array([[[1.0, 0.0, 4.0], [0.0, 1.0, 6.0], [0.0, 0.0, 1.0]]])  # in mm
        >>> ops.convert_to_numpy(in_voxels(shift, (2.0, 3.0)))[0, :2, 2].tolist()
        [2.0, 2.0]
    """
    scale = np.array([*spacing, 1.0], "float32")
    return matrix * ops.convert_to_tensor(scale[None, :] / scale[:, None])


def invert_affine(matrix: Tensor) -> Tensor:
    """Invert affine matrices.

    Args:
        matrix: `(batch, ndim + 1, ndim + 1)`.

    Returns:
        Tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> shrink = invert_affine(ops.array([[[2.0, 6.0], [0.0, 1.0]]]))
        >>> ops.convert_to_numpy(shrink)[0, 0].tolist()
        [0.5, -3.0]
    """
    return ops.linalg.inv(matrix)


@takes_arrays
def fit_affine(source: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Fit the affine matrix that takes `target` to `source`, by weighted least squares.

    Minimises `Σ w |M [target; 1] - source|²` in closed form.

    Args:
        source: `(batch, points, ndim)`.
        target: `(batch, points, ndim)`, the corresponding points.
        weights: `(batch, points)`, non-negative. Default: all points count the same.

    Returns:
        float32 tensor of shape `(batch, ndim + 1, ndim + 1)`.

    Example:
        >>> from keras import ops
        >>> target = ops.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
        >>> matrix = fit_affine(2 * target + 3, target)
        >>> print(ops.convert_to_numpy(matrix)[0, 0].round(3) + 0.0)
        [2. 0. 3.]
    """
    x = ops.concatenate([target, ops.ones_like(target[..., :1])], axis=-1)
    weighted = x if weights is None else x * weights[..., None]
    transposed = ops.transpose(weighted, (0, 2, 1))
    solution = ops.linalg.solve(ops.matmul(transposed, x), ops.matmul(transposed, source))
    return homogeneous(ops.transpose(solution, (0, 2, 1)))


def fit_affine_both_ways(source: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Fit as `fit_affine` in both directions and average.

    Swapping the two sets of points therefore inverts the matrix.

    Args:
        source: `(batch, points, ndim)`.
        target: `(batch, points, ndim)`, the corresponding points.
        weights: `(batch, points)`, non-negative. Default: all points count the same.

    Returns:
        float32 tensor of shape `(batch, ndim + 1, ndim + 1)`.

    Example:
        >>> from keras import ops
        >>> target = ops.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
        >>> matrix = fit_affine_both_ways(2 * target, target)
        >>> print(ops.convert_to_numpy(matrix)[0, 0].round(3) + 0.0)
        [2. 0. 0.]
    """
    forward = fit_affine(source, target, weights)
    backward = fit_affine(target, source, weights)
    return geometric_mean(forward, invert_affine(backward))


def with_anchors(source: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Append points that stay where they are, with very small weights.

    They decide the fit only where the other points leave it open, for example where there are
    too few of them.

    Args:
        source: `(batch, points, ndim)`, from the centre, as a share of the size of the volume.
        target: the corresponding points, of the same shape.
        weights: `(batch, points)`, with a sum of about 1.

    Returns:
        `source`, `target` and `weights` with `2 · ndim` more points.

    Example:
        >>> from keras import ops
        >>> points = ops.zeros((1, 1, 2))
        >>> source, target, weights = with_anchors(points, points, ops.ones((1, 1)))
        >>> source.shape[1], ops.convert_to_numpy(target)[0, 1].tolist()
        (5, [0.5, 0.0])
    """
    ndim = source.shape[-1]
    corners = np.concatenate([np.eye(ndim), -np.eye(ndim)]).astype("float32") / 2
    anchors = ops.broadcast_to(corners, (ops.shape(source)[0], *corners.shape))
    low = ops.full((ops.shape(source)[0], 2 * ndim), _ANCHOR, "float32")
    return (
        ops.concatenate([source, anchors], axis=1),
        ops.concatenate([target, anchors], axis=1),
        ops.concatenate([weights, low], axis=1),
    )
