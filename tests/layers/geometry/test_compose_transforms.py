import numpy as np
import pytest
from keras import ops

from synthtf.layers import ComposeTransforms, Resample
from synthtf.testing import BATCH, SHAPES, LayerContract, close, equal, run, to_arrays


def make_affine(ndim, num=BATCH, seed=0):
    noise = np.random.default_rng(seed).uniform(-0.1, 0.1, (num, ndim + 1, ndim + 1))
    noise[:, -1] = 0
    return (np.eye(ndim + 1) + noise).astype("float32")


def make_field(shape, num=BATCH, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(-1.5, 1.5, (num, *shape, len(shape))).astype("float32")


class TestComposeTransforms(LayerContract):
    layer = ComposeTransforms
    test_invalid_arguments = None

    def make_inputs(self, ndim):
        return ([make_affine(ndim), make_field(SHAPES[ndim])],)

    def test_identity_arguments(self, ndim):
        affine, field = self.make_inputs(ndim)[0]
        same = np.repeat(np.eye(ndim + 1, dtype="float32")[None], BATCH, axis=0)
        for inputs in ([field], [same, field], [field, same], [field, 0 * field]):
            close(run(ComposeTransforms(), (inputs,)), [field])
        close(run(ComposeTransforms(), ([affine],)), [affine])


@pytest.mark.parametrize("ndim", [2, 3])
def test_matrices_multiply_from_left_to_right(ndim):
    a, b, c = (make_affine(ndim, seed=s) for s in range(3))
    close(run(ComposeTransforms(), ([a, b, c],)), [a @ b @ c])


@pytest.mark.parametrize("ndim", [2, 3])
def test_shifts_add_up(ndim):
    shape = SHAPES[ndim]
    field = np.full((1, *shape, ndim), 1.25, "float32")
    affine = np.eye(ndim + 1, dtype="float32")[None]
    affine[:, :ndim, ndim] = -3
    close(run(ComposeTransforms(), ([affine, field],)), [field - 3])
    close(run(ComposeTransforms(), ([field, affine],)), [field - 3])


def test_composite_moves_like_its_parts_in_turn():
    """On a linear image, interpolating twice is as exact as interpolating once."""
    shape, inner = (24, 20), (slice(None), slice(6, -6), slice(6, -6))
    x, y = np.meshgrid(*map(np.arange, shape), indexing="ij")
    image = (0.3 * x - 0.2 * y)[None, ..., None].astype("float32")
    affine, field = make_affine(2, 1), make_field(shape, 1)
    composed = ComposeTransforms()([affine, field])
    once = to_arrays(Resample(fill=None)(image, composed))[0]
    twice = to_arrays(Resample(fill=None)(Resample(fill=None)(image, affine), field))[0]
    np.testing.assert_allclose(once[inner], twice[inner], atol=1e-4)


def test_coarse_field_keeps_its_grid():
    layer = ComposeTransforms(shape=(33, 17))
    affine, coarse = make_affine(2), make_field((9, 5))
    out = layer([affine, coarse])
    assert tuple(out.shape) == coarse.shape
    shift = np.repeat(np.eye(3, dtype="float32")[None], BATCH, axis=0)
    shift[:, 0, 2] = 2.5
    expected = coarse + np.array([2.5, 0], "float32")
    close(run(layer, ([shift, coarse],)), [expected])


def test_order_matters():
    a, b = make_affine(2, seed=1), make_affine(2, seed=2)
    one, other = (run(ComposeTransforms(), (x,))[0] for x in ([a, b], [b, a]))
    assert np.abs(one - other).max() > 1e-3


def test_refuses_what_is_no_list():
    with pytest.raises(ValueError, match="takes a list of transforms"):
        ComposeTransforms()([])
    with pytest.raises(ValueError, match="`transform` must be a matrix"):
        ComposeTransforms()([make_affine(3), make_field((8, 8))])


def test_inputs_are_not_changed():
    inputs = [make_affine(2), make_field((8, 8))]
    copy = [np.copy(x) for x in inputs]
    ComposeTransforms()([ops.convert_to_tensor(x) for x in inputs])
    equal(inputs, copy)
