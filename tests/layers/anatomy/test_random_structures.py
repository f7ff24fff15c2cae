import numpy as np
import pytest

from synthtf.layers.anatomy.random_structures import RandomStructures
from synthtf.testing import RandomLayerContract, check_mean, make_keys, repeat, to_arrays

NUM = 300


class TestRandomStructures(RandomLayerContract):
    layer = RandomStructures
    kind = "labels"
    arguments = {"groups": [[2, 3], [41], [2035]]}
    variants = [{"removal_probability": (0.2, 0.9, 1), "fill": 5, "keep_one": False}]
    identity_arguments = {"removal_probability": 0}
    num_outcomes = 4
    invalid = [
        ({"groups": []}, "at least one"),
        ({"groups": [[1], []]}, "none empty"),
        ({"groups": [[1, 2], [2]]}, "and in one group only"),
        ({"groups": [[-1]]}, "each label at least 0"),
        ({"removal_probability": 2}, "`removal_probability` must lie in"),
        ({"removal_probability": (0.5, 0.5)}, "one per group"),
        ({"fill": -1}, "`fill` must lie in"),
    ]


def remove(values, num=NUM, **arguments):
    """Which of some values are left in each sample: `(num, values)`."""
    labels = repeat(np.array(values, "int32").reshape(1, -1, 1, 1), num)
    layer = RandomStructures(name="removal", **arguments)
    return to_arrays(layer(labels, make_keys(num)))[0].reshape(num, -1)


@pytest.mark.parametrize("large", [2035, 70000])
def test_groups_go_as_a_whole_and_others_stay(large):
    out = remove([0, 2, large, 41, 16], groups=[[2, large], [41]], keep_one=False, fill=7)
    assert (out[:, 0] == 0).all() and (out[:, 4] == 16).all()
    np.testing.assert_array_equal(out[:, 1] == 7, out[:, 2] == 7)
    assert set(out[:, 1]) == {2, 7} and set(out[:, 2]) == {large, 7} and set(out[:, 3]) == {41, 7}


def test_each_group_is_removed_independently_by_its_probability():
    gone = remove([1, 2, 3], groups=[[1], [2], [3]], removal_probability=(0.2, 0.7, 0.5)) == 0
    free = remove([1, 2], groups=[[1], [2]], removal_probability=(0.2, 0.7), keep_one=False) == 0
    check_mean(free[:, 0], 0.2)
    check_mean(free[:, 1], 0.7)
    check_mean(free.all(1), 0.2 * 0.7)
    # Of all being removed, each group is spared a third of the times.
    all_gone = 0.2 * 0.7 * 0.5
    for k, p in enumerate((0.2, 0.7, 0.5)):
        check_mean(gone[:, k], p - all_gone / 3)


def test_one_group_stays_and_not_one_that_always_goes():
    left = remove([1, 2, 3], groups=[[1], [2], [3]], removal_probability=1) > 0
    assert (left.sum(1) == 1).all()
    for k in range(3):
        check_mean(left[:, k], 1 / 3)
    left = remove([1, 2, 3], groups=[[1], [2], [3]], removal_probability=(0.9, 0.9, 1)) > 0
    assert not left[:, 2].any() and left.any(1).all()


def test_refuses_floats():
    with pytest.raises(ValueError, match="must be integer"):
        RandomStructures([[1]])(np.zeros((1, 4, 4, 1), "float32"))
