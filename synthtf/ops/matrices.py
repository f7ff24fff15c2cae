"""Functions of small square matrices, `(batch, n, n)`, near the identity."""

from typing import Any

from keras import ops

Tensor = Any

# The iterations converge quadratically: for rotations of 45° about each axis and scaling by 0.8
# to 1.25, to float32 after four or five.
_ITERATIONS = 10


def matrix_sqrt(matrix: Tensor) -> Tensor:
    """Principal square root, by the iteration of Denman and Beavers.

    Args:
        matrix: `(batch, n, n)`, without eigenvalues on the negative real axis, such as an
            affine matrix whose rotation is below 180°.

    Returns:
        Tensor `root` of the same shape with `root @ root = matrix`.

    Reference:
        Denman and Beavers, The matrix sign function and computations in systems, 1976.
    """
    root, inverse_root = matrix, ops.zeros_like(matrix) + ops.eye(matrix.shape[-1])
    for _ in range(_ITERATIONS):
        root, inverse_root = (
            (root + ops.linalg.inv(inverse_root)) / 2,
            (inverse_root + ops.linalg.inv(root)) / 2,
        )
    return root


def geometric_mean(a: Tensor, b: Tensor) -> Tensor:
    """The matrix halfway from `a` to `b`: `a (a⁻¹ b)^½`.

    Unlike that of the arithmetic mean, its inverse is the mean of the inverses.

    Args:
        a: `(batch, n, n)`, invertible.
        b: Tensor of the same shape.

    Returns:
        Tensor of the same shape.
    """
    return ops.matmul(a, matrix_sqrt(ops.matmul(ops.linalg.inv(a), b)))


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotation that is closest to a matrix, by Newton's iteration for its polar factor.

    Args:
        matrix: `(batch, n, n)`, of positive determinant.

    Returns:
        Tensor of the same shape, orthogonal.

    Reference:
        Higham, Computing the polar decomposition, SIAM J. Sci. Stat. Comput. 1986.
    """
    for _ in range(_ITERATIONS):
        matrix = (matrix + ops.transpose(ops.linalg.inv(matrix), (0, 2, 1))) / 2
    return matrix
