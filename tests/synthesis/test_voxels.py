import numpy as np
from keras import ops

from synthtf.synthesis.voxels import DrawVoxels, TakeVoxels


def test_about_as_many_voxels_of_each_label_are_drawn():
    labels = np.zeros((3, 40, 40, 1), "int32")
    labels[:, :8, :20] = 7  # a tenth
    labels[:, 20:] = 3
    key = np.array([[0, i] for i in range(3)], "int32")
    places = DrawVoxels(24, name="voxels")(labels, key=key)
    found = ops.convert_to_numpy(TakeVoxels()(labels, places))[..., 0]
    assert all(np.bincount(row, minlength=8)[[0, 3, 7]].tolist() == [8, 8, 8] for row in found)
    one = DrawVoxels(24, name="voxels")(labels[2:], key=key[2:])
    np.testing.assert_array_equal(places[2:], one)
    assert len(set(ops.convert_to_numpy(places)[0].tolist())) > 16
