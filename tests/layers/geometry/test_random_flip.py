import numpy as np
import pytest

from synthtf.layers import RandomFlip
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomFlip(RandomLayerContract):
    layer = RandomFlip
    kind = "both"
    arguments = {"pairs": [(2, 41)]}
    variants = [{"axis": 1}, {"pairs": [(2, 70000)]}]
    identity_arguments = {"probability": 0}
    num_outcomes = 2
    invalid = [
        ({"axis": 3}, "`axis` must be a spatial axis"),
        ({"axis": -1}, "`axis` must be a spatial axis"),
        ({"pairs": [(2, 41), (2, 42)]}, "`pairs` must name each label once"),
        ({"pairs": [(2, 2)]}, "`pairs` must name each label once"),
    ]


def flip(x, **arguments):
    return to_arrays(RandomFlip(probability=1, **arguments)(x, make_keys(len(x))))[0]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flips_an_axis(axis):
    image = np.random.default_rng(0).uniform(size=(2, 4, 5, 6, 1)).astype("float32")
    np.testing.assert_array_equal(flip(image, axis=axis), np.flip(image, axis + 1))


@pytest.mark.parametrize("right", [41, 2035, 14175, 70000])
def test_pairs_change_places_and_others_stay(right):
    labels = np.array([[2, right, 7, 0, right]], "int32").reshape(1, 5, 1, 1)
    out = flip(labels, pairs=[(2, right)])
    assert out.ravel().tolist() == [2, 0, 7, 2, right]


def test_images_keep_the_values_of_pairs():
    image = np.array([2.0, 41.0, 5.0], "float32").reshape(1, 3, 1, 1)
    assert flip(image, pairs=[(2, 41)]).ravel().tolist() == [5, 41, 2]


def test_twice_is_the_identity():
    labels = np.random.default_rng(0).choice([0, 2, 41, 77], (1, 9, 7, 1)).astype("int32")
    pairs = [(2, 41)]
    np.testing.assert_array_equal(flip(flip(labels, pairs=pairs), pairs=pairs), labels)


def test_axis_must_exist():
    with pytest.raises(ValueError, match="axis 2 is not spatial"):
        flip(np.zeros((1, 4, 4, 1), "int32"), axis=2)


def test_probability_is_the_rate_of_flips():
    image = np.zeros((400, 2, 2, 1), "float32")
    image[:, 0] = 1
    out = to_arrays(RandomFlip(probability=0.3)(image, make_keys(400)))[0]
    check_mean(out[:, 1, 0, 0], 0.3)
