import numpy as np
import pytest

from synthtf.layers import MapLabels
from synthtf.testing import LABELS, LayerContract, to_arrays


def column(*values):
    return np.array(values, "int32").reshape(1, -1, 1, 1)


class TestMapLabels(LayerContract):
    layer = MapLabels
    kind = "labels"
    arguments = {"mapping": {2: 1, 41: 1, 2035: 70000}}
    variants = [{"mapping": {2: 3, 70000: 41}}]
    identity_arguments = {"mapping": {v: v for v in LABELS}}
    invalid = [
        ({"mapping": {-1: 2}}, "`mapping` must not be negative"),
        ({"mapping": {1: -2}}, "`mapping` must not be negative"),
    ]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64"])
def test_look_up_in_any_integer_type(dtype):
    out = to_arrays(MapLabels({2: 7, 41: 2035})(column(0, 2, 41, 5).astype(dtype)))[0]
    assert out.dtype == "int32" and out.ravel().tolist() == [0, 7, 2035, 0]


@pytest.mark.parametrize("largest", [2035, 14175, 70000, 2**31 - 1])
def test_sparse_labels_are_exact(largest):
    mapping = {2: 5, 1002: 6, largest: 14175}
    values = column(largest, largest - 1, 1002, 1003, 2, 3, 0)
    out = to_arrays(MapLabels(mapping)(values))[0]
    assert out.ravel().tolist() == [14175, 0, 6, 0, 5, 0, 0]


@pytest.mark.parametrize("largest", [5, 70000])
def test_background_can_be_mapped(largest):
    out = to_arrays(MapLabels({0: 9, 3: 0, largest: 1})(column(0, 3, 4, largest)))[0]
    assert out.ravel().tolist() == [9, 0, 0, 1]


def test_refuses_floats():
    with pytest.raises(ValueError, match="must be integer"):
        MapLabels({1: 2})(column(1).astype("float32"))
