import numpy as np
import pytest

from synthtf.layers import RandomMask
from synthtf.testing import LABELS, RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomMask(RandomLayerContract):
    layer = RandomMask
    kind = "both"
    arguments = {"labels": (2, 2035), "optional": (41,)}
    variants = [{"labels": (2, 70000)}]
    identity_arguments = {"labels": LABELS}
    num_outcomes = 2
    invalid = [
        ({"labels": ()}, "`labels` must be labels, whole numbers from 0, at least one"),
        ({"labels": (-1,)}, "must be labels, whole numbers from 0, at least one"),
        ({"optional": (-5,)}, "`optional` must be labels"),
    ]

    def expected_identity(self, inputs):
        return inputs[0]


@pytest.mark.parametrize("largest", [2035, 14175, 70000])
def test_keeps_the_listed_labels_alone(largest):
    labels = np.array([0, 2, 3, largest, largest + 1], "int32").reshape(1, 5, 1, 1)
    image = np.array([0.1, 0.2, 0.3, 0.4, 0.5], "float32").reshape(1, 5, 1, 1)
    out = to_arrays(RandomMask(labels=[2, largest])([image, labels], make_keys(1)))[0]
    np.testing.assert_array_equal(out.ravel(), np.array([0, 0.2, 0, 0.4, 0], "float32"))


def test_background_can_be_kept():
    labels = np.array([0, 2], "int32").reshape(1, 2, 1, 1)
    out = to_arrays(RandomMask(labels=[0])([np.ones((1, 2, 1, 1), "float32"), labels]))[0]
    assert out.ravel().tolist() == [1, 0]


def test_optional_labels_are_kept_half_of_the_time_all_alike():
    labels = repeat(np.array([2, 24, 25], "int32").reshape(1, 3, 1, 1), 400)
    image = np.ones(labels.shape, "float32")
    layer = RandomMask(labels=[2], optional=[24, 25])
    out = to_arrays(layer([image, labels], make_keys(400)))[0].reshape(400, 3)
    assert (out[:, 0] == 1).all()
    np.testing.assert_array_equal(out[:, 1], out[:, 2])
    check_mean(out[:, 1], 0.5)


def test_refuses_floats():
    with pytest.raises(ValueError, match="must be integer"):
        RandomMask(labels=[1])([np.zeros((1, 4, 4, 1), "float32")] * 2)
