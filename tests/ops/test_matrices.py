import numpy as np
import pytest
from scipy.linalg import polar, sqrtm

from synthtf import ops
from synthtf.ops.matrices import geometric_mean, matrix_sqrt, nearest_rotation


def affine(ndim, seed, batch=3):
    """Matrices of moderate rotations, scalings and shears."""
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-60, 60, (batch, 2 * ndim - 3)).astype("float32")
    shear = rng.uniform(-0.2, 0.2, angles.shape).astype("float32")
    translation, scaling = rng.uniform(0.7, 1.4, (2, batch, ndim)).astype("float32")
    return np.asarray(ops.affine_matrix(translation, angles, scaling, shear))


@pytest.mark.parametrize("ndim", [2, 3])
def test_root_is_that_of_scipy(ndim):
    matrices = affine(ndim, 0)
    roots = np.asarray(matrix_sqrt(matrices))
    for matrix, root in zip(matrices, roots, strict=True):
        np.testing.assert_allclose(root, sqrtm(matrix).real, atol=1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_mean_is_symmetric_and_halfway(ndim):
    a, b = affine(ndim, 1), affine(ndim, 2)
    mean = np.asarray(geometric_mean(a, b))
    np.testing.assert_allclose(mean, np.asarray(geometric_mean(b, a)), atol=1e-4)
    backward = np.asarray(geometric_mean(np.linalg.inv(a), np.linalg.inv(b)))
    np.testing.assert_allclose(mean @ backward, np.broadcast_to(np.eye(ndim + 1), a.shape), 0, 1e-4)
    np.testing.assert_allclose(np.asarray(geometric_mean(a, a)), a, atol=1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_nearest_rotation_is_the_polar_factor(ndim):
    matrices = affine(ndim, 3)[:, :ndim, :ndim]
    for matrix, rotation in zip(matrices, np.asarray(nearest_rotation(matrices)), strict=True):
        np.testing.assert_allclose(rotation, polar(matrix)[0], atol=1e-5)
