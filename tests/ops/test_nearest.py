import numpy as np
import pytest
from keras import ops
from scipy.ndimage import distance_transform_edt

from synthtf.ops.nearest import nearest_label


@pytest.mark.parametrize("shape, spacing", [((19, 23), (1.0, 1.0)), ((9, 12, 10), (2.0, 1.0, 1.3))])
def test_agrees_with_scipy(shape, spacing):
    rng = np.random.default_rng(0)
    # Every voxel has a label of its own, so that only the closest voxel will do.
    labels = rng.permutation(np.prod(shape)).reshape(shape).astype("int32")
    mask, limit = rng.uniform(size=shape) < 0.02, 5.0
    distance, nearest = (
        ops.convert_to_numpy(x)[0, ..., 0]
        for x in nearest_label(labels[None, ..., None], mask[None, ..., None], spacing, limit)
    )
    expected = distance_transform_edt(~mask, spacing)
    np.testing.assert_allclose(distance, np.minimum(expected, limit), atol=1e-5)
    for at in zip(*np.where(expected < limit - 0.01), strict=True):
        source = np.array(np.where(labels == nearest[at])).ravel()
        apart = np.linalg.norm((source - at) * np.array(spacing))
        assert mask[tuple(source)] and abs(apart - expected[at]) < 1e-5
    far = expected > limit + 0.01
    assert far.any()
    np.testing.assert_array_equal(nearest[far], labels[far])
