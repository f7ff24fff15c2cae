import numpy as np
import pytest

from synthtf.layers import Resample
from synthtf.testing import BATCH, LABELS, SHAPES, LayerContract, close, run, to_arrays


class TestResample(LayerContract):
    layer = Resample
    variants = [{"fill": None}, {"interpolation": "nearest"}]
    invalid = [({"interpolation": "cubic"}, "`interpolation` must be one of")]

    def make_inputs(self, ndim):
        shape = (BATCH, *SHAPES[ndim], 1)
        generator = np.random.default_rng(ndim)
        image = generator.uniform(size=shape).astype("float32")
        labels = generator.choice(LABELS, size=shape).astype("int32")
        field = generator.uniform(-2, 2, (*shape[:-1], ndim)).astype("float32")
        return [image, labels], field

    def test_identity_arguments(self, ndim):
        inputs, field = self.make_inputs(ndim)
        eye = np.repeat(np.eye(ndim + 1, dtype="float32")[None], BATCH, axis=0)
        for transform in (0 * field, eye):
            close(run(Resample(), (inputs, transform)), inputs)


@pytest.mark.parametrize("ndim", [2, 3])
def test_shift_by_whole_voxels(ndim):
    image = np.random.default_rng(0).uniform(1, 2, (1, *(6,) * ndim, 2)).astype("float32")
    field = np.zeros((1, *(6,) * ndim, ndim), "float32")
    field[..., 0] = 2
    out = to_arrays(Resample(fill=-1)(image, field))[0]
    np.testing.assert_array_equal(out[:, :-2], image[:, 2:])
    np.testing.assert_array_equal(out[:, -2:], -1)
    border = to_arrays(Resample(fill=None)(image, field))[0]
    np.testing.assert_array_equal(border[:, -2:], np.repeat(image[:, -1:], 2, axis=1))


def test_half_a_voxel_is_the_mean_of_two():
    image = np.array([0, 1, 4, 9], "float32").reshape(1, 4, 1, 1)
    field = np.zeros((1, 4, 1, 2), "float32")
    field[..., 0] = 0.5
    assert to_arrays(Resample()(image, field))[0].ravel().tolist() == [0.5, 2.5, 6.5, 0]


@pytest.mark.parametrize("label", [2035, 14175, 70000, 2**31 - 1])
def test_labels_are_never_interpolated(label):
    labels = np.array([0, label, 0, label], "int32").reshape(1, 4, 1, 1)
    field = np.full((1, 4, 1, 2), 0.3, "float32")
    out = to_arrays(Resample(fill=None)(labels, field))[0]
    assert out.dtype == "int32" and out.ravel().tolist() == [0, label, 0, label]


def test_structure_of_inputs_is_kept():
    volumes = {"a": np.ones((1, 4, 4, 1), "float32"), "b": np.ones((1, 4, 4, 3), "int32")}
    out = Resample()(volumes, np.zeros((1, 4, 4, 2), "float32"))
    assert tuple(out["b"].shape) == (1, 4, 4, 3)


@pytest.mark.parametrize("shape", [(6, 6), (13, 4)])
def test_other_shape_shares_the_centre(shape):
    image = np.random.default_rng(0).uniform(size=(1, 9, 10, 1)).astype("float32")
    out = to_arrays(Resample(shape=shape)(image, np.eye(3, dtype="float32")[None]))[0]
    assert out.shape == (1, *shape, 1)
    low = [(n - m) // 2 for n, m in zip(image.shape[1:3], shape, strict=True)]
    expected = np.zeros(shape, "float32")
    for i in range(shape[0]):
        for j in range(shape[1]):
            a, b = i + low[0], j + low[1]
            if 0 <= a < 9 and 0 <= b < 10:
                expected[i, j] = image[0, a, b, 0]
    np.testing.assert_allclose(out[0, ..., 0], expected, atol=1e-6)


def test_ranks_must_fit():
    with pytest.raises(ValueError, match="`transform` must be a matrix"):
        Resample()(np.zeros((1, 4, 4, 1), "float32"), np.zeros((1, 4, 4, 3), "float32"))
