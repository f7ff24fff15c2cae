import numpy as np
from keras import ops

from synthtf.synthesis.foreground import ChooseForeground


def test_labels_that_all_images_show_are_chosen():
    labels = np.zeros((40, 2, 20, 20, 1), "int32")
    labels[:, :, :, :10] = 3
    labels[:, 0, 10:] = 5  # not in the second map
    labels[:, 1, :10, 10:] = 9  # not in the first
    labels[:, :, 8:10] = 7
    key = np.array([[0, i] for i in range(40)], "int32")
    chosen = ops.convert_to_numpy(ChooseForeground([3, 5, 7, 9], name="choose")(labels, key=key))
    of_each = [set(np.unique(a[b == 1])) for a, b in zip(labels, chosen, strict=True)]
    assert all(values in ({3}, {7}) for values in of_each) and {3} in of_each and {7} in of_each
    several = ChooseForeground([3, 5, 7, 9], several=1, name="choose")
    chosen = ops.convert_to_numpy(several(labels, key=key))
    of_each = [set(np.unique(a[b == 1])) for a, b in zip(labels, chosen, strict=True)]
    assert max(map(len, of_each)) > 1 and all(0 not in values for values in of_each)
    alone = ops.convert_to_numpy(several(labels[7:8], key=key[7:8]))
    np.testing.assert_array_equal(alone, chosen[7:8])
