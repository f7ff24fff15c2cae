import keras
import numpy as np
import pytest

from synthtf.layers.anatomy.map_labels import MapLabels
from synthtf.layers.anatomy.random_subdivision import RandomSubdivision
from synthtf.testing import RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomSubdivision(RandomLayerContract):
    layer = RandomSubdivision
    kind = "labels"
    arguments = {"labels": [2, 2035], "size": (2, 4)}
    variants = [{"num_parts": 1, "spacing": 2.0, "labels": [0, 41], "offset": 70000}]
    identity_arguments = {"probability": 0}
    invalid = [
        ({"labels": []}, "must be labels, whole numbers from 0, or names"),
        ({"labels": [2, 2]}, "`labels` must be distinct"),
        ({"labels": [-2]}, "must be labels, whole numbers from 0, or names"),
        ({"num_parts": 0}, "`num_parts` must lie in"),
        ({"num_parts": 1.5}, "`num_parts` must be a whole number"),
        ({"offset": 2035}, "`offset` must be above all `labels`"),
        ({"size": 0}, "`size` must lie in"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def split(volume, **arguments):
    layer = RandomSubdivision(name="split", **arguments)
    return layer, to_arrays(layer(volume, make_keys(len(volume))))[0]


def test_parts_lead_back_and_others_stay():
    labels = np.random.default_rng(0).choice([0, 2, 41, 43, 99], (2, 30, 24, 1)).astype("int32")
    layer, out = split(labels, labels=[41, 2, 0], num_parts=3, offset=100, size=4)
    assert layer.new_labels == tuple(range(100, 109))
    others = np.isin(labels, (43, 99))
    np.testing.assert_array_equal(out[others], labels[others])
    back = to_arrays(MapLabels({**layer.mapping, 43: 43, 99: 99})(out))[0]
    np.testing.assert_array_equal(back, labels)
    for j, old in enumerate((41, 2, 0)):
        assert set(out[labels == old]) == {old, *range(100 + 3 * j, 103 + 3 * j)}


def test_parts_are_where_their_field_is_largest():
    """Lattices that are constant but for one part: that part is everywhere."""
    labels = np.full((1, 12, 10, 1), 2, "int32")
    layer = RandomSubdivision([2], num_parts=3, offset=20000, size=5)
    draws = {k: to_arrays(x)[0] for k, x in layer.sample(make_keys(1), labels.shape).items()}
    for part, value in enumerate((2, 20000, 20001, 20002)):
        draws["noise"] = np.zeros_like(draws["noise"])
        draws["noise"][:, part] = 1
        assert (to_arrays(layer.apply(labels, draws))[0] == value).all()


def test_parts_are_equally_likely():
    labels = repeat(np.full((1, 9, 9, 1), 2, "int32"), 400)
    _, out = split(labels, labels=[2], num_parts=2, offset=20000, size=(3, 6))
    for value in (2, 20000, 20001):
        check_mean(out[:, 4, 4] == value, 1 / 3)
        check_mean(out[:, 0, 8] == value, 1 / 3)


def borders(labels):
    return np.mean([np.mean(np.diff(labels, axis=d) != 0) for d in (1, 2)])


def test_width_of_parts_is_in_mm():
    labels = np.full((6, 128, 128, 1), 2, "int32")
    small, large, coarse = (
        borders(split(labels, labels=[2], size=mm, spacing=spacing)[1])
        for mm, spacing in ((8, 1.0), (16, 1.0), (16, 2.0))
    )
    np.testing.assert_allclose(small / large, 2, rtol=0.2)
    np.testing.assert_allclose(small, coarse, rtol=0.01)
    assert 16 < 1 / large < 48


def test_refuses_an_unknown_shape():
    with pytest.raises(ValueError, match="the spatial shape must be known"):
        RandomSubdivision([2])(keras.Input((None, None, 1), dtype="int32"), keras.Input((2,)))
