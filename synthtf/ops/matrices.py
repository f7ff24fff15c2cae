"""Functions of small square matrices, `(batch, n, n)`, near the identity."""

from typing import Any

from keras import ops

from synthtf.ops.arrays import takes_arrays

Tensor = Any

# The iterations converge quadratically: rotations of 45° about each axis with scaling by 0.8 to
# 1.25 reach float32 precision after four or five.
_ITERATIONS = 10


@takes_arrays
def matrix_sqrt(matrix: Tensor) -> Tensor:
    """Return the principal square root, by the iteration of Denman and Beavers.

    Args:
        matrix: `(batch, n, n)`, without eigenvalues on the negative real axis, such as an
            affine matrix whose rotation is below 180°.

    Returns:
        Tensor `root` of the same shape with `root @ root = matrix`.

    Example:
        >>> from keras import ops
        >>> root = matrix_sqrt(ops.array([[[4.0, 0.0], [0.0, 9.0]]]))
        >>> print(ops.convert_to_numpy(root)[0].round(4))
        [[2. 0.]
         [0. 3.]]

    Reference:
        Denman and Beavers, The matrix sign function and computations in systems, 1976.
    """
    root, inverse_root = (
        matrix,
        ops.zeros_like(matrix) + ops.eye(matrix.shape[-1], dtype=matrix.dtype),
    )
    for _ in range(_ITERATIONS):
        root, inverse_root = (
            (root + ops.linalg.inv(inverse_root)) / 2,
            (inverse_root + ops.linalg.inv(root)) / 2,
        )
    return root


@takes_arrays
def geometric_mean(a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix halfway from `a` to `b`: `a (a⁻¹ b)^½`.

    The inverse of this mean is the mean of the inverses, unlike for the arithmetic mean.

    Args:
        a: `(batch, n, n)`, invertible.
        b: tensor of the same shape.

    Returns:
        Tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> mean = geometric_mean(ops.eye(2)[None], 4 * ops.eye(2)[None])
        >>> print(ops.convert_to_numpy(mean)[0].round(4))
        [[2. 0.]
         [0. 2.]]
    """
    return ops.matmul(a, matrix_sqrt(ops.matmul(ops.linalg.inv(a), b)))


@takes_arrays
def nearest_rotation(matrix: Tensor) -> Tensor:
    """Return the rotation closest to a matrix, by Newton's iteration for its polar factor.

    Args:
        matrix: `(batch, n, n)`, with a positive determinant.

    Returns:
        Orthogonal tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> rotation = nearest_rotation(ops.array([[[0.0, -3.0], [2.0, 0.0]]]))
        >>> print(ops.convert_to_numpy(rotation)[0].round(4) + 0.0)
        [[ 0. -1.]
         [ 1.  0.]]

    Reference:
        Higham, Computing the polar decomposition, SIAM J. Sci. Stat. Comput. 1986.
    """
    for _ in range(_ITERATIONS):
        matrix = (matrix + ops.transpose(ops.linalg.inv(matrix), (0, 2, 1))) / 2
    return matrix
