"""Look-ups, one-hot maps and centres of mass."""

import numpy as np
import pytest

from synthtf.ops import barycenter, label_index, label_shares, map_labels, one_hot
from synthtf.testing import to_arrays

SPARSE = {
    "dense": [0, 1, 2, 3],
    "aseg": [0, 2, 41, 2035],
    "destrieux": [0, 17, 2035, 14175],
    "beyond a table": [0, 2035, 14175, 70000],
    "largest": [3, 70000, 2**31 - 1],
}


def array(tensor):
    return to_arrays(tensor)[0]


@pytest.mark.parametrize("values", SPARSE.values(), ids=SPARSE)
def test_index_of_each_label(values):
    labels = np.array([*values, values[-1] - 1, values[1] + 1], "int32").reshape(1, -1, 1)
    index = array(label_index(labels, values))
    assert index.dtype == "int32" and index.shape == labels.shape
    expected = [values.index(v) if v in values else 0 for v in labels.ravel()]
    assert index.ravel().tolist() == expected


@pytest.mark.parametrize("values", SPARSE.values(), ids=SPARSE)
def test_unlisted_labels_become_zero(values):
    mapping = {v: 1000 + k for k, v in enumerate(values)}
    labels = np.array([*values, values[-1] - 1, values[1] + 1, 5], "int32")
    expected = [mapping.get(v, 0) for v in labels.tolist()]
    assert array(map_labels(labels, mapping)).tolist() == expected


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64"])
def test_any_integer_type(dtype):
    assert array(map_labels(np.array([0, 7], dtype), {7: 70000})).tolist() == [0, 70000]


@pytest.mark.parametrize("values", SPARSE.values(), ids=SPARSE)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_one_hot(values, dtype):
    labels = np.array(values, "int32").reshape(1, -1, 1, 1)
    out = array(one_hot(labels, values, dtype))
    assert out.dtype == dtype
    np.testing.assert_array_equal(out[0, :, 0], np.eye(len(values)))


def test_barycenter_of_a_point():
    x = np.zeros((1, 8, 5, 1), "float32")
    x[0, 6, 1] = 3
    np.testing.assert_allclose(array(barycenter(x))[0, 0], [(6 - 3.5) / 8, (1 - 2) / 5], atol=1e-6)


def test_barycenter_of_nothing_is_finite():
    assert not array(barycenter(np.zeros((1, 4, 4, 4, 2), "float32"))).any()


@pytest.mark.parametrize("shape, factor", [((6,), 2), ((6, 9), 3), ((4, 2, 6), 2), ((3, 5), 1)])
def test_shares_are_means_of_one_hot_maps(shape, factor):
    index = np.random.default_rng(0).integers(0, 5, (2, *shape)).astype("int32")
    found = array(label_shares(index, 5, factor))
    blocks = [size for n in shape for size in (n // factor, factor)]
    within = tuple(range(2, 2 * len(shape) + 1, 2))
    expected = np.eye(5)[index].reshape(2, *blocks, 5).mean(axis=within)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == "float32"
