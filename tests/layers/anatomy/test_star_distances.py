import numpy as np
import pytest

from synthtf.layers import StarDistances
from synthtf.testing import LABELS, LayerContract, to_arrays


class TestStarDistances(LayerContract):
    layer = StarDistances
    kind = "labels"
    arguments = {"labels": LABELS[1:3], "rays": 4, "limit": 3}
    variants = [{"spacing": 2.0, "limit": 5.0}]
    invalid = [
        ({"labels": ()}, "`labels` must be distinct labels"),
        ({"labels": (1, 1)}, "`labels` must be distinct labels"),
        ({"rays": 2}, "`rays` must lie in"),
        ({"limit": 0}, "`limit` must lie in"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]

    def test_identity_arguments(self, ndim):
        """No arguments give the identity, but probability and distances say where objects are."""
        labels = self.make_inputs(ndim)[0]
        found = to_arrays(self.make_layer()(labels))[0]
        inside = np.isin(labels, LABELS[1:3])
        np.testing.assert_array_equal(found > 0, np.repeat(inside, 5, axis=-1))


def test_an_unknown_shape_is_refused():
    import keras

    with pytest.raises(ValueError, match="the spatial shape must be known"):
        StarDistances([1])(keras.Input((None, None, 1), dtype="int32"))
