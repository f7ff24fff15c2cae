import numpy as np
import pytest
from scipy.ndimage import affine_transform

from synthtf.layers import AlignPairs
from synthtf.testing import through_json, to_arrays

SHAPE = (40, 36, 38)
CENTRES = [(12, 12, 12), (28, 12, 26), (12, 24, 26), (28, 25, 12), (20, 18, 19)]


def blocks(ndim, moved=None):
    """Five structures, moved by an affine transform about the centre."""
    labels = np.zeros(SHAPE[:ndim], "int32")
    for label, centre in enumerate(CENTRES, start=1):
        labels[tuple(slice(i - 3, i + 3) for i in centre[:ndim])] = label
    if moved is None:
        return labels
    centre = (np.array(labels.shape) - 1) / 2
    offset = centre - moved[:ndim, :ndim] @ centre + moved[:ndim, ndim]
    return affine_transform(labels, moved[:ndim, :ndim], offset, order=0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_both_go_halfway(ndim):
    """One matrix after the inverse of the other is the transform between the maps."""
    turn = np.eye(ndim + 1)
    turn[:2, :2] = np.array([[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]) * 1.05
    turn[:ndim, ndim] = [2, -1, 1.5][:ndim]
    pair = np.stack([blocks(ndim, turn), blocks(ndim)])[..., None]
    layer = AlignPairs(labels=range(1, 6))
    moving, fixed = to_arrays(layer(pair))[0].astype("float64")
    np.testing.assert_allclose(moving[-1], np.eye(ndim + 1)[-1])
    found = fixed @ np.linalg.inv(moving)
    np.testing.assert_allclose(found[:ndim, :ndim], turn[:ndim, :ndim], atol=0.06)
    np.testing.assert_allclose(found[:ndim, ndim], turn[:ndim, ndim], atol=1)
    np.testing.assert_allclose(moving, np.linalg.inv(fixed), atol=1e-3)
    np.testing.assert_array_equal(to_arrays(through_json(layer)(pair))[0], [moving, fixed])


def test_pairs_without_structures_stay_in_place():
    maps = np.zeros((4, 24, 20, 1), "int32")
    expected = np.broadcast_to(np.eye(3), (4, 3, 3))
    np.testing.assert_allclose(AlignPairs(labels=[1, 2])(maps), expected, atol=1e-4)
