import keras
import numpy as np
import pytest

from synthtf.layers import RandomAffine, Resample
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays

STILL = {"translation": 0, "rotation": 0, "scaling": 1, "shear": 0}


class TestRandomAffine(RandomLayerContract):
    layer = RandomAffine
    arguments = {"spacing": 2.0}
    identity_arguments = STILL
    invalid = [
        ({"translation": (1, -1)}, "`translation` must be .* low <= high"),
        ({"rotation": (0, 400)}, r"`rotation` must lie in \[-360, 360\]"),
        ({"scaling": 0}, "`scaling` must lie in"),
        ({"shear": "some"}, "`shear` must be a number or"),
        ({"translation": float("inf")}, "`translation` must be finite"),
        ({"spacing": (1, -1)}, "`spacing` must be positive"),
    ]

    def expected_identity(self, inputs):
        ndim = inputs.ndim - 2
        return np.repeat(np.eye(ndim + 1, dtype="float32")[None], len(inputs), axis=0)


def affine_of(ndim, **arguments):
    layer = RandomAffine(**{**STILL, **arguments})
    return layer(np.zeros((1, *(5,) * ndim, 1), "int32"), make_keys(1))


@pytest.mark.parametrize("turns", [1, -1, 2])
def test_right_angles_in_2d_are_rot90(turns):
    image = np.random.default_rng(0).integers(0, 99, (1, 9, 9, 1)).astype("int32")
    out = to_arrays(Resample()(image, affine_of(2, rotation=90 * turns)))[0]
    # A rotation of positions by 90 degrees turns the image the other way.
    np.testing.assert_array_equal(out, np.rot90(image, -turns, axes=(1, 2)))


@pytest.mark.parametrize("axis, plane", [(0, (2, 3)), (1, (3, 1)), (2, (1, 2))])
def test_right_angles_in_3d_are_rot90(axis, plane):
    image = np.random.default_rng(0).integers(0, 99, (1, 7, 7, 7, 1)).astype("int32")
    layer = RandomAffine()
    draws = layer.sample(make_keys(1), image.shape)
    rotation = np.zeros((1, 3), "float32")
    rotation[0, axis] = 90
    still = {"translation": np.zeros((1, 3)), "scaling": np.ones((1, 3)), "shear": np.zeros((1, 3))}
    assert set(draws) == {*still, "rotation"}
    draws = {k: keras.ops.convert_to_tensor(v.astype("float32")) for k, v in still.items()}
    matrix = layer.apply(image, {**draws, "rotation": keras.ops.convert_to_tensor(rotation)})
    out = to_arrays(Resample()(image, matrix))[0]
    np.testing.assert_array_equal(out, np.rot90(image, -1, axes=plane))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("spacing, shift", [(1.0, 3), (1.5, 2), (3.0, 1)])
def test_translation_is_in_mm(ndim, spacing, shift):
    image = np.random.default_rng(0).integers(1, 99, (1, *(8,) * ndim, 1)).astype("int32")
    out = to_arrays(Resample()(image, affine_of(ndim, translation=3, spacing=spacing)))[0]
    expected = np.zeros_like(image)
    here, there = (slice(None, -shift),) * ndim, (slice(shift, None),) * ndim
    expected[(0, *here)] = image[(0, *there)]
    np.testing.assert_array_equal(out, expected)


def test_uneven_voxels_rotate_in_mm():
    matrix = to_arrays(affine_of(2, rotation=90, spacing=(1.0, 2.0)))[0][0]
    # A voxel along the second axis is two along the first.
    np.testing.assert_allclose(matrix[:2, :2], [[0, -2], [0.5, 0]], atol=1e-6)


@pytest.mark.parametrize("ndim", [2, 3])
def test_scaling_above_one_shrinks(ndim):
    matrix = to_arrays(affine_of(ndim, scaling=2))[0][0]
    np.testing.assert_allclose(matrix, np.diag([2.0] * ndim + [1.0]), atol=1e-6)


def test_spacing_must_fit_the_rank():
    with pytest.raises(ValueError, match="`spacing` must be a number or one per axis"):
        affine_of(2, spacing=(1, 1, 1))


@pytest.mark.parametrize("ndim", [2, 3])
def test_draws_are_uniform(ndim):
    layer = RandomAffine()
    draws = layer.sample(make_keys(150), (150, *(4,) * ndim, 1))
    for name in STILL:
        low, high = getattr(layer, name)
        values = (to_arrays(draws[name])[0] - low) / (high - low)
        assert values.min() >= 0 and values.max() < 1
        check_mean(values, 1 / 2)
        check_mean(values**2, 1 / 3)
    assert np.ptp(to_arrays(draws["translation"])[0], axis=1).min() > 0, "axes share a draw"
