import numpy as np
import pytest

from synthtf.layers import OneHot
from synthtf.testing import LABELS, LayerContract, run, to_arrays


class TestOneHot(LayerContract):
    layer = OneHot
    kind = "labels"
    arguments = {"labels": LABELS}
    variants = [{"labels": (0, 2, 70000)}]
    invalid = [
        ({"labels": ()}, "must be distinct labels"),
        ({"labels": (2, 0)}, "`labels` must be ascending"),
        ({"labels": (0, 2, 2)}, "must be distinct labels"),
        ({"labels": (-1, 2)}, "must be distinct labels"),
    ]

    def test_identity_arguments(self, ndim):
        """No arguments give the identity, but the largest channel gives the label back."""
        labels = self.make_inputs(ndim)[0]
        out = run(self.make_layer(), (labels,))[0]
        assert (out.sum(-1) == 1).all()
        np.testing.assert_array_equal(np.array(LABELS)[out.argmax(-1)], labels[..., 0])


@pytest.mark.parametrize("largest", [3, 2035, 14175, 70000])
def test_one_channel_per_label(largest):
    labels = np.array([largest, 0, 2, 1], "int32").reshape(1, 4, 1, 1)
    out = to_arrays(OneHot([0, 2, largest])(labels))[0].reshape(4, 3)
    # The last, which is not listed, counts as the first.
    np.testing.assert_array_equal(out, np.eye(3)[[2, 0, 1, 0]])


def test_refuses_floats():
    with pytest.raises(ValueError, match="must be integer"):
        OneHot([0, 1])(np.zeros((1, 4, 4, 1), "float32"))
