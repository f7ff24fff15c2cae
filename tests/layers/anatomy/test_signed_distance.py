import numpy as np
import pytest

from synthtf.layers import SignedDistance
from synthtf.testing import LABELS, LayerContract, to_arrays


class TestSignedDistance(LayerContract):
    layer = SignedDistance
    kind = "labels"
    arguments = {"labels": LABELS[1:3], "spacing": 2.0, "limit": 6.0}
    variants = [{"closing": 3.0}, {"closing": 3.0, "within": LABELS[3:]}]
    invalid = [
        ({"labels": ()}, "`labels` must be labels, whole numbers from 0, at least one"),
        ({"labels": (-1,)}, "`labels` must be labels, whole numbers from 0, at least one"),
        ({"limit": 0}, "`limit` must lie in"),
        ({"closing": -1}, "`closing` must lie in"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]

    def test_identity_arguments(self, ndim):
        """No arguments give the identity, but the sign says where the labels are."""
        labels = self.make_inputs(ndim)[0]
        distance = to_arrays(self.make_layer()(labels))[0]
        np.testing.assert_array_equal(distance < 0, np.isin(labels, LABELS[1:3]))
        assert np.abs(distance).max() <= 6


def sulcus():
    """A block of label 2 with a gap of label 24 between two banks, on a background of 502."""
    labels = np.full((1, 24, 20, 1), 502, "int32")
    labels[0, 4:20, 6:16] = 2
    labels[0, 11:13, 10:16] = 24
    return labels


@pytest.mark.parametrize(
    ("closing", "within", "closed"),
    [(0.0, None, False), (3.0, None, True), (3.0, (24,), True), (3.0, (502,), False)],
)
def test_closing_takes_in_sulci_of_some_labels(closing, within, closed):
    layer = SignedDistance([2], limit=5.0, closing=closing, within=within)
    distance = to_arrays(layer(sulcus()))[0][0, ..., 0]
    assert (distance[11:13, 11:14] < 0).all() == closed
    assert (distance[5:10, 7:15] < 0).all()
    assert (distance[:3] > 0).all()
