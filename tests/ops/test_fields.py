"""Composition, integration and Jacobians."""

import keras
import numpy as np
import pytest
from keras import ops as kops

from synthtf import ops, xla
from synthtf.ops.resampling import upsample
from synthtf.testing import to_arrays


def array(tensor):
    return to_arrays(tensor)[0]


def smooth_field(shape, amplitude, seed=0, cells=3):
    """A field of a few linear cells, and its coarse form."""
    ndim = len(shape)
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(-amplitude, amplitude, (1, *(cells + 1,) * ndim, ndim))
    coarse = kops.convert_to_tensor(coarse.astype("float32"))
    dense = [upsample(coarse[..., d], shape) for d in range(ndim)]
    return kops.stack(dense, axis=-1), coarse


def rotation(degrees, shift=(0.0, 0.0)):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = [[c, -s, shift[0]], [s, c, shift[1]], [0, 0, 1]]
    return kops.convert_to_tensor(np.array([matrix], "float32"))


def blob(shape):
    """A smooth image, on which two interpolations are nearly as good as one."""
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    return np.exp(-3 * sum(g**2 for g in grid))[None, ..., None].astype("float32")


TRANSFORMS = {
    "affine, affine": (lambda: rotation(20), lambda: rotation(-35, (2, 1))),
    "affine, field": (lambda: rotation(20, (1, 0)), lambda: smooth_field((40, 36), 2)[0]),
    "field, affine": (lambda: smooth_field((40, 36), 2)[0], lambda: rotation(20, (0, 2))),
    "field, field": (
        lambda: smooth_field((40, 36), 2)[0],
        lambda: smooth_field((40, 36), 3, seed=1)[0],
    ),
}


@pytest.mark.parametrize("outer, inner", TRANSFORMS.values(), ids=TRANSFORMS)
def test_composition_is_two_resamplings(outer, inner):
    image, outer, inner = blob((40, 36)), outer(), inner()
    once = array(ops.resample(image, ops.compose(outer, inner)))
    twice = array(ops.resample(ops.resample(image, outer), inner))
    np.testing.assert_allclose(once[:, 6:-6, 6:-6], twice[:, 6:-6, 6:-6], atol=0.02)
    assert np.abs(once - image).max() > 0.05


@pytest.mark.parametrize("shape", [(25, 19), (13, 16, 10)])
def test_coarse_field_is_its_dense_upsampling(shape):
    dense, coarse = smooth_field(shape, 2)
    volume = np.random.default_rng(0).uniform(size=(1, *shape, 1)).astype("float32")
    for fill in (None, 0.0):
        one, other = (array(ops.resample(volume, t, fill=fill)) for t in (dense, coarse))
        assert (np.abs(one - other) < 1e-4).mean() > 0.99, "but for voxels right on the border"


def test_coarse_field_composes_on_its_own_grid():
    shape = (25, 19)
    dense, coarse = smooth_field(shape, 2)
    affine = rotation(10, (1, -2))
    composite = ops.compose(affine, coarse, shape)
    assert tuple(composite.shape) == tuple(coarse.shape)
    up = np.stack([array(upsample(composite[..., d], shape)) for d in range(2)], axis=-1)
    np.testing.assert_allclose(up, array(ops.compose(affine, dense)), atol=1e-4)


@pytest.mark.parametrize("ndim", [2, 3])
def test_composition_with_the_inverse_is_the_identity(ndim):
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, (2, ndim, ndim + 1))
    affine = np.concatenate([np.eye(ndim, ndim + 1) + noise, np.zeros((2, 1, ndim + 1))], axis=1)
    affine[:, -1, -1] = 1
    affine = kops.convert_to_tensor(affine.astype("float32"))
    both = array(ops.compose(ops.invert_affine(affine), affine))
    np.testing.assert_allclose(both, np.broadcast_to(np.eye(ndim + 1), both.shape), atol=1e-5)


def test_field_of_a_matrix_moves_like_the_matrix():
    volume = np.random.default_rng(0).uniform(size=(1, 12, 15, 2)).astype("float32")
    matrix = rotation(33, (1, 2))
    field = ops.dense_displacement(matrix, (12, 15))
    one, other = (array(ops.resample(volume, t, fill=None)) for t in (matrix, field))
    np.testing.assert_allclose(one, other, atol=1e-4)


# Integration


def test_constant_velocity_is_its_own_displacement():
    velocity = np.full((1, 9, 9, 2), 0.75, "float32")
    np.testing.assert_allclose(array(ops.integrate_velocity(velocity, 5)), 0.75, atol=1e-5)


def test_linear_velocity_grows_exponentially():
    """dx/dt = a x has the flow x e^a."""
    x = np.arange(101, dtype="float32") - 50
    velocity = np.zeros((1, 101, 3, 2), "float32")
    velocity[..., 0] = -0.5 * x[:, None]
    out = array(ops.integrate_velocity(velocity, 7))[0, :, 1, 0]
    np.testing.assert_allclose(out, x * (np.exp(-0.5) - 1), atol=0.05)


@pytest.mark.parametrize("shape", [(32, 28), (24, 26, 30)])
def test_negative_velocity_integrates_to_the_inverse(shape):
    velocity = smooth_field(shape, 2)[0]
    there, back = ops.integrate_velocity(velocity, 7), ops.integrate_velocity(-velocity, 7)
    both = array(ops.compose(there, back))
    inner = (slice(None), *(slice(3, -3),) * len(shape))
    # Two linear interpolations of fields that are linear within their cells only.
    assert np.abs(both[inner]).mean() < 0.02
    assert np.abs(both[inner]).max() < 0.2
    assert np.abs(array(there)[inner]).max() > 1


def test_no_steps_leave_the_velocity():
    velocity = smooth_field((9, 9), 1)[0]
    np.testing.assert_array_equal(array(ops.integrate_velocity(velocity, 0)), array(velocity))


def test_looking_up_whole_vectors_changes_nothing(monkeypatch):
    """Within a graph, where XLA looks them up, and outside of it."""
    monkeypatch.setattr(xla, "LARGE", 1)
    velocity = smooth_field((12, 10, 14), 2)[0]
    known = array(ops.integrate_velocity(velocity, 5))
    np.testing.assert_allclose(array(ops.integrate_velocity(velocity, 5, True)), known, atol=1e-5)
    image = keras.Input(velocity.shape[1:])
    fused = keras.layers.Lambda(lambda x: ops.integrate_velocity(x, 5, True), velocity.shape[1:])
    model = xla.choose(keras.Model(image, fused(image)))
    np.testing.assert_allclose(model.predict_on_batch(velocity), known, atol=1e-5)


# Jacobian


@pytest.mark.parametrize("ndim", [2, 3])
def test_determinant_of_a_linear_map(ndim):
    matrix = np.random.default_rng(0).uniform(-0.3, 0.3, (ndim, ndim)).astype("float32")
    grid = np.stack(np.meshgrid(*[np.arange(6.0)] * ndim, indexing="ij"), axis=-1)
    field = (grid @ matrix.T)[None].astype("float32")
    expected = np.linalg.det(np.eye(ndim) + matrix)
    np.testing.assert_allclose(array(ops.jacobian_determinant(field)), expected, rtol=1e-4)


def test_fold_has_a_negative_determinant():
    field = np.zeros((1, 9, 9, 2), "float32")
    field[..., 0] = -2 * np.arange(9)[:, None]
    np.testing.assert_allclose(array(ops.jacobian_determinant(field)), -1, atol=1e-5)
