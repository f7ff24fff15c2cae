import numpy as np
import pytest
from keras import ops

from synthtf.losses import border_distance_loss


@pytest.mark.parametrize("shape", [(8,), (4, 2), (2, 2, 2)])
def test_errors_near_the_border_count_more(shape):
    true = np.array([-9, -6, -5, -4, 0, 4, 5, 6], "float32").reshape(1, *shape, 1)
    near = np.abs(true) < 5
    loss = [
        float(border_distance_loss(true, true + 2 * where, weight=0.1)[0])
        for where in (near, ~near)
    ]
    # Three voxels near the border and five others, each wrong by 2 mm.
    np.testing.assert_allclose(loss, [4 * 3 / 3.5, 4 * 0.5 / 3.5], rtol=1e-5)


def test_borders_and_samples_are_averaged_apart():
    true = np.zeros((2, 4, 4, 2), "float32")
    found = true.copy()
    found[1, ..., 1] = 3
    np.testing.assert_allclose(ops.convert_to_numpy(border_distance_loss(true, found)), [0, 4.5])
    with pytest.raises(ValueError, match="same shape"):
        border_distance_loss(true, found[..., :1])
